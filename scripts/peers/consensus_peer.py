#!/usr/bin/env python3
"""Consolidates judgments by crowd-kit's Dawid-Skene with its defaults, and prints {peer, cpu_seconds, iterations, labels} as JSON.

CPU is that of the fit alone, on one thread. The CSV has task_id,rater_id,label; labels come back in the order of the task numbers.
Needs crowd-kit, and pandas.
"""
import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pandas as pd
from crowdkit.aggregation import DawidSkene

answers = pd.read_csv(sys.argv[1]).rename(columns={"task_id": "task", "rater_id": "worker"})
start = time.process_time()
model = DawidSkene(n_iter=100)
labels = model.fit_predict(answers[["task", "worker", "label"]])
spent = time.process_time() - start
iterations = len(getattr(model, "loss_history_", []))
print(json.dumps({"peer": "crowd-kit's Dawid-Skene", "cpu_seconds": spent, "iterations": iterations, "labels": [int(x) for x in labels.sort_index()]}))
