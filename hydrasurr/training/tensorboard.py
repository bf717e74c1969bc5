"""The curves of a training for TensorBoard."""

from __future__ import annotations

from pathlib import Path

from hydrasurr.training.trainer import EpochRecord


class Board:
    """Writes events into a folder; a resumed run, which goes on with `epoch`, takes back later ones."""

    def __init__(self, folder: Path, epoch: int):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=epoch + 1)  # steps are epochs that are over

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def add(self, record: EpochRecord) -> None:
        scalars = {"lr": record.lr, "loss/train": record.train_loss, "graphs_per_second": record.graphs_per_second}
        if record.val_loss is not None:
            scalars["loss/val"] = record.val_loss
        for split, metrics in (("train", record.train), ("val", record.val or {})):
            for target, values in metrics.items():
                scalars |= {f"{target}/{name}/{split}": value for name, value in values.items() if name != "count"}
        for phase, seconds in record.seconds.items():
            scalars[f"seconds/{phase}"] = seconds
        for scope, size in record.bytes_sent.items():
            scalars[f"bytes_sent/{scope}"] = size
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, record.epoch + 1)
        self._writer.flush()
