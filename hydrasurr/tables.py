def print_results(folder, results): print(results)
