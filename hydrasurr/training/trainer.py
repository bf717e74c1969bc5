"""The training of one network: epochs, steps, evaluation, checkpoints."""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from hydrasurr.errors import HydrasurrError
from hydrasurr.launcher import Ranks
from hydrasurr.loading import BatchLoader
from hydrasurr.stores.base import GraphStore
from hydrasurr.training import checkpoint
from hydrasurr.training.communication import data_parallel, share_buffers
from hydrasurr.training.config import TrainingConfig
from hydrasurr.training.ema import EMA
from hydrasurr.training.evaluation import evaluate
from hydrasurr.training.gradient_group import SCOPES
from hydrasurr.training.optimizers import Schedule, build_optimizer
from hydrasurr.training.ranks import share_of
from hydrasurr.training.stop import StopRequest
from hydrasurr.training.tasks import Task
from hydrasurr.training.tasks.base import Batch
from hydrasurr.training.timing import WITHIN_BACKWARD, PhaseTimer

CONSENSUS_STEPS = 10
"""With several ranks, steps between two agreements on whether to go on."""


@dataclass
class Progress:
    """Where a run stands; saved with every checkpoint."""

    epoch: int = 0
    """The epoch under way, or the next one."""
    step: int = 0
    """Batches of that epoch already trained on."""
    updates: int = 0
    """Steps of the optimizer since the start."""
    best: float = math.inf
    """Lowest validation loss so far."""
    evaluations_since_best: int = 0
    finished: bool = False
    seconds: float = 0.0
    """Training time, over all restarts."""
    world_size: int = 1


@dataclass
class EpochRecord:
    """What is told of an epoch; one line of metrics.jsonl."""

    epoch: int
    updates: int
    lr: float
    train_loss: float
    train: dict[str, dict[str, float]]
    val_loss: float | None = None
    val: dict[str, dict[str, float]] | None = None
    best: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    graphs_per_second: float = 0.0
    bytes_sent: dict[str, float] = field(default_factory=dict)
    """Of gradients in this epoch, the mean over ranks; counted as hydrasurr.training.gradient_group says."""


class Trainer:
    """Trains a network on the training split of a store until done, stopped, or out of patience.

    Parameters
    ----------
    network : on `device`; with several ranks its weights are those of rank 0
    latest : path of the checkpoint that a later run resumes from
    save_best : called on rank 0 with the network to keep, whenever the validation loss is the lowest so far
    report : called on rank 0 with the EpochRecord of each epoch
    watch : wraps each epoch's batches on rank 0 (progress bar); called with (batches, epoch, first step, steps)
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        store: GraphStore,
        loader: BatchLoader,
        config: TrainingConfig,
        ranks: Ranks,
        device: torch.device,
        latest: Path,
        *,
        seed: int,
        save_best: Callable[[nn.Module], None],
        report: Callable[[EpochRecord], None],
        watch: Callable[[Iterator[Batch], int, int, int], Iterator[Batch]] | None = None,
        stop: StopRequest | None = None,
    ):
        self.network, self.task, self.store, self.loader = network, task, store, loader
        self.config, self.ranks, self.device, self.latest, self.seed = config, ranks, device, latest, seed
        self.save_best, self.report, self.watch = save_best, report, watch
        self.stop = stop or StopRequest()
        self.loss = task.loss(config.loss).to(next(network.parameters()))
        self.optimizer = build_optimizer(network, config.optimizer)
        self.updates_per_epoch = -(-len(loader) // config.accumulate)
        self.schedule = Schedule(config.schedule, config.optimizer.lr, config.epochs * self.updates_per_epoch)
        self.ema = EMA(network, config.ema_decay) if config.ema_decay else None
        self.progress = Progress(world_size=ranks.world_size)
        self.timer = PhaseTimer(device)
        self._sent: Counter[str] = Counter()
        self._compressor: dict[str, Any] | None = None  # state that the checkpoint resumed from has of it
        self._reset_epoch_sums()

    # -- the run --------------------------------------------------------------------------------------

    def fit(self) -> Progress:
        """Train until the last epoch, a stop request, or early stopping. Returns where it ended."""
        if not len(self.loader):
            raise HydrasurrError(
                f"the training split has {len(self.loader.split)} graphs, too few for {self.ranks.world_size} ranks"
            )
        self.start()
        while self.progress.epoch < self.config.epochs and not self.progress.finished:
            if not self._epoch():
                return self.progress
        self.progress.finished = True
        self._save()
        return self.progress

    def start(self) -> None:
        """Join the networks of all ranks; called by all of them together, once, before the first step."""
        self._parallel = self._distribute(self.network)
        if self._compressor is not None and self.ranks.world_size > 1:
            self._parallel.compressor.load_state_dict(self._compressor)

    def step(self, batches: Iterator[Batch]) -> bool:
        """Load the next batch and train on it: one step of `fit`. True if the optimizer moved."""
        with self.timer.phase("load"):
            batch = next(batches).to(self.device, non_blocking=True)
        updated = self._train_on(batch)
        self.progress.step += 1
        return updated

    def _epoch(self) -> bool:
        """Train one epoch, or the rest of it, and evaluate. False if asked to stop before its end."""
        self._parallel.train()
        progress, steps = self.progress, len(self.loader)
        batches = self.loader.epoch(progress.epoch, progress.step)
        if self.watch is not None and self.ranks.is_root:
            batches = self.watch(batches, progress.epoch, progress.step, steps)
        with contextlib.closing(batches):
            last_save = mark = time.perf_counter()
            while progress.step < steps:
                updated = self.step(batches)
                now = time.perf_counter()
                progress.seconds, mark = progress.seconds + now - mark, now
                if not updated or progress.step == steps:
                    continue
                stop, save = self._agree(now - last_save > 60 * self.config.checkpoint_minutes)
                if stop or save:
                    self._save()
                    last_save = time.perf_counter()
                if stop:
                    return False
        self._end_epoch()
        stop, _ = self._agree(False, always=True)
        return progress.finished or not stop

    def _train_on(self, batch: Batch) -> bool:
        """Forward and backward of a batch, and at the end of an accumulation a step of the optimizer: True."""
        config, progress = self.config, self.progress
        window = progress.step // config.accumulate * config.accumulate
        in_window = min(config.accumulate, len(self.loader) - window)
        last = progress.step == window + in_window - 1
        # Reseeding at every step makes dropout a function of the step: nothing to save for a restart.
        place = (self.seed, self.ranks.rank, progress.epoch, progress.step)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

        with self.timer.phase("forward"):
            with self._autocast():
                prediction = self.task.predict(self._parallel, batch)
            loss = self.loss(self.task.standardised(self.network, prediction, batch))
        with self.timer.phase("backward"), contextlib.nullcontext() if last else self._no_sync():
            (loss / in_window).backward()
        with torch.no_grad():
            self._loss_sum += loss.detach()
            self._sums.add(self.task.physical(self.network, prediction, batch))
        self._graphs += batch.num_graphs
        if last:
            with self.timer.phase("optimizer"):
                self._update()
        return last

    def _update(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.lr(self.progress.updates)
        limit = math.inf if self.config.clip_norm is None else self.config.clip_norm
        self._norm = nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.updates += 1
        if self.ema is not None:
            self.ema.update(self.network)

    # -- the end of an epoch --------------------------------------------------------------------------

    def _end_epoch(self) -> None:
        config, progress = self.config, self.progress
        self._check_finite()
        seconds = self.timer.take()
        loss, graphs, sent, self._sums.sums = self._epoch_totals()
        elapsed = max(sum(v for k, v in seconds.items() if k not in WITHIN_BACKWARD), 1e-9)
        record = EpochRecord(
            epoch=progress.epoch,
            updates=progress.updates,
            lr=self.optimizer.param_groups[0]["lr"],
            train_loss=loss / (len(self.loader) * self.ranks.world_size),
            train=self._sums.metrics(),
            seconds=seconds,
            graphs_per_second=graphs / elapsed,
            bytes_sent={scope: sent[scope] / self.ranks.world_size for scope in SCOPES},
        )
        progress.epoch, progress.step = progress.epoch + 1, 0
        self._reset_epoch_sums()
        if progress.epoch % config.evaluate_every == 0 or progress.epoch == config.epochs:
            self._evaluate(record)
        if self.ranks.is_root:  # first: what a checkpoint has behind it is never told again
            self.report(record)
        self._save()

    def _evaluate(self, record: EpochRecord) -> None:
        """Fill in the validation part of `record`; keep the network if it is the best so far."""
        progress = self.progress
        start = time.perf_counter()
        if self.ranks.world_size > 1:
            share_buffers(self.candidate)
        # Without a validation split the training metrics decide.
        if len(self.store["val"]):
            sums = evaluate(self.candidate, self.task, self.store["val"], share_of(self.ranks), self.config.batch_size)
            record.val = sums.metrics()
        record.val_loss = self.task.score(record.val or record.train, self.config.loss)
        record.seconds["evaluate"] = time.perf_counter() - start
        self.schedule.evaluated(record.val_loss)
        record.best = record.val_loss < progress.best
        progress.evaluations_since_best = 0 if record.best else progress.evaluations_since_best + 1
        if record.best:
            progress.best = record.val_loss
            if self.ranks.is_root:
                self.save_best(self.candidate)
        if self.config.early_stopping and progress.evaluations_since_best >= self.config.early_stopping:
            progress.finished = True

    @property
    def candidate(self) -> nn.Module:
        """The network to evaluate and keep: the moving average where there is one."""
        return self.ema.network if self.ema is not None else self.network

    # -- several ranks --------------------------------------------------------------------------------

    def _distribute(self, network: nn.Module) -> nn.Module:
        if self.ranks.world_size == 1:
            return network
        if self.device.type == "cuda":
            network = self.network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        communication, updates = self.config.communication, self.progress.updates
        return data_parallel(network, communication, self.timer, self._sent, updates, self.seed)

    def _no_sync(self) -> contextlib.AbstractContextManager:
        return self._parallel.no_sync() if self.ranks.world_size > 1 else contextlib.nullcontext()

    def _agree(self, save: bool, always: bool = False) -> tuple[bool, bool]:
        """Whether all ranks are to stop, and to save, now; also where a loss that is no number is noticed.

        Unless `always`, several ranks agree only every few steps, and CUDA is looked at only then: both wait.
        """
        alone = self.ranks.world_size == 1
        seldom = not always and (not alone or self.device.type == "cuda")
        if seldom and self.progress.updates % CONSENSUS_STEPS:
            return False, False
        self._check_finite()
        if alone:
            return self.stop.requested, save
        flags = torch.tensor([self.stop.requested, save], dtype=torch.int32)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return bool(flags[0]), bool(flags[1])

    def _epoch_totals(self) -> tuple[float, float, Counter[str], Tensor]:
        """Loss, graphs, bytes sent and metric sums of the epoch so far, over all ranks."""
        scalars = [float(self._loss_sum), float(self._graphs), *(self._sent[scope] for scope in SCOPES)]
        flat = torch.cat([torch.tensor(scalars, dtype=torch.float64), self._sums.sums.cpu().view(-1)])
        if self.ranks.world_size > 1:
            dist.all_reduce(flat)
        loss, graphs, *sent = flat[: len(scalars)].tolist()
        counts = Counter(dict(zip(SCOPES, map(int, sent), strict=True)))
        return loss, graphs, counts, flat[len(scalars) :].view_as(self._sums.sums)

    def _check_finite(self) -> None:
        """Raise HydrasurrError on all ranks if the loss or the gradient of one was not finite this epoch."""
        finite = (self._loss_sum.isfinite() & self._norm.isfinite()).float().cpu()
        if self.ranks.world_size > 1:
            dist.all_reduce(finite, op=dist.ReduceOp.MIN)
        if not finite:
            kept = f"the last good state is in '{self.latest}'" if self.latest.exists() else "nothing was saved yet"
            raise HydrasurrError(
                f"the loss or its gradient became infinite or NaN in epoch {self.progress.epoch}, before step "
                f"{self.progress.step}; {kept}. Try a lower training.optimizer.lr, a smaller training.clip_norm, a "
                "longer training.schedule.warmup, or precision fp32"
            )

    # -- helpers --------------------------------------------------------------------------------------

    def _autocast(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _reset_epoch_sums(self) -> None:
        self._sums = self.task.sums()
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self._norm = torch.zeros((), device=self.device)
        self._graphs = 0
        self._sent.clear()

    # -- checkpoints ----------------------------------------------------------------------------------

    def _save(self) -> None:
        """Called by all ranks together."""
        loss, graphs, sent, sums = self._epoch_totals()
        compressor = self._parallel.compressor.state_dict() if self.ranks.world_size > 1 else None
        if not self.ranks.is_root:
            return
        state = {
            "epoch_totals": {"loss": loss, "graphs": graphs, "sent": dict(sent), "sums": sums},
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "compressor": compressor,
            "progress": asdict(self.progress),
        }
        checkpoint.save(state, self.latest)

    def resume(self) -> None:
        """Continue from the latest checkpoint.

        With another number of ranks an epoch under way starts again, since its shares were cut differently.
        """
        state = checkpoint.load(self.latest)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.ema:
            self.ema.load_state_dict(state["ema"])
        self._compressor = state.get("compressor")  # older checkpoints have none
        self.progress = Progress(**state["progress"])
        if self.progress.world_size != self.ranks.world_size:
            self.progress.world_size, self.progress.step = self.ranks.world_size, 0
        elif self.ranks.is_root:  # the sums of all ranks so far; the other ranks go on from zero
            totals = state["epoch_totals"]
            self._loss_sum.fill_(totals["loss"])
            self._graphs, self._sums.sums = totals["graphs"], totals["sums"]
            self._sent.update(totals["sent"])
