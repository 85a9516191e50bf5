"""Tables from what `scripts/bench echo --raw FILE` wrote, each run by itself and all together.

    python3 Benchmarks/results/pool.py FILE...

The ratio to C is taken within a round, between servers that ran one after the other; then the median over rounds.
"""

import json
import statistics
import sys


def median_of(rows, *path):
    def value(row):
        for key in path:
            row = row[key]
        return row

    return statistics.median(value(row) for row in rows)


def print_table(rows, title):
    yardstick = {(row["run"], row["round"]): row["cpu_us"] for row in rows if row["contender"] == "c"}
    print(f"\n{title}\n")
    print("| server | req/s | CPU/req µs (user/sys) | CPU, ratio to C (lowest to highest) | p50/p99/p99.9 µs |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in dict.fromkeys(row["contender"] for row in rows):
        mine = [row for row in rows if row["contender"] == name]
        ratios = [row["cpu_us"] / yardstick[row["run"], row["round"]] for row in mine]
        cpu = " ".join(f"{median_of(mine, key):.2f}" for key in ("cpu_us", "user_us", "system_us")).split()
        latency = "/".join(f"{median_of(mine, 'latency_us', key):,.0f}" for key in ("p50", "p99", "p99_9"))
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rate = f"{median_of(mine, 'requests_per_second'):,.0f}"
        print(f"| {name} | {rate} | {cpu[0]} ({cpu[1]}/{cpu[2]}) | {ratio} | {latency} |")


def main(files):
    rows = []
    for file in files:
        with open(file, encoding="utf-8") as lines:
            rows += [json.loads(line) | {"run": file} for line in lines]
    for connections in sorted({row["connections"] for row in rows}):
        chosen = [row for row in rows if row["connections"] == connections]
        for file in files:
            print_table([row for row in chosen if row["run"] == file], f"{connections} connections, {file}")
        if len(files) > 1:
            print_table(chosen, f"{connections} connections, all runs")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(sys.argv[1:])
