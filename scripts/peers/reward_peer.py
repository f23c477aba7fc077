#!/usr/bin/env python3
"""Predicts preference pairs in given folds by the listed baselines, and prints {peer, right: {source: {baseline: [share right, by pair]}}}.

Input: JSON lines of {source, prompt, chosen, rejected, folds: [fold in each repeat]}. Baselines: logistic regression with scikit-learn's
default strength on differences of TF-IDF vectors of single words, of words and pairs of words, and of these with style numbers. The share
is the mean over the repeats; equal scores count half. Needs scikit-learn.
"""
import json
import os
import sys

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import sklearn
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression


def style(text):
    n, words = max(len(text), 1), text.split()
    return [
        np.log1p(len(text)), len(words) / 50, text.count("\n") / 10, text.count("?"), text.count("!"),
        10 * sum(c.isdigit() for c in text) / n, 10 * sum(c.isupper() for c in text) / n,
        len(set(words)) / max(len(words), 1), 10 * text.count(",") / max(len(words), 1),
        np.mean([len(word) for word in words]) if words else 0,
    ]


def predict(difference, train, test):
    rows = sparse.csr_matrix(difference)
    both = sparse.vstack([rows[train], -rows[train]])
    label = np.r_[np.ones(len(train)), np.zeros(len(train))]
    # Each pair stands in both orders, so half the strength counts it once.
    fitted = LogisticRegression(C=0.5, fit_intercept=False, max_iter=1000).fit(both, label)
    return rows[test] @ fitted.coef_[0]


sources = {}
for line in open(sys.argv[1], encoding="utf-8"):
    pair = json.loads(line)
    sources.setdefault(pair["source"], []).append(pair)
right = {}
for source, pairs in sources.items():
    chosen, rejected = [p["chosen"] for p in pairs], [p["rejected"] for p in pairs]
    styles = np.array([style(a) for a in chosen]) - np.array([style(b) for b in rejected])
    repeats = len(pairs[0]["folds"])
    shares = {name: np.zeros(len(pairs)) for name in ("1-gram", "2-gram", "2-gram + style")}
    for repeat in range(repeats):
        folds = np.array([p["folds"][repeat] for p in pairs])
        for fold in np.unique(folds):
            train, test = np.where(folds != fold)[0], np.where(folds == fold)[0]
            for name, longest in (("1-gram", 1), ("2-gram", 2)):
                words = TfidfVectorizer(ngram_range=(1, longest))
                words.fit([chosen[i] for i in train] + [rejected[i] for i in train])
                difference = words.transform(chosen) - words.transform(rejected)
                variants = {name: difference}
                if longest == 2:
                    scaled = styles / (styles[train].std(0) + 1e-9)
                    variants["2-gram + style"] = sparse.hstack([difference, sparse.csr_matrix(scaled)])
                for variant, matrix in variants.items():
                    score = predict(matrix, train, test)
                    shares[variant][test] += ((score > 0) + 0.5 * (score == 0)) / repeats
    right[source] = {name: share.tolist() for name, share in shares.items()}
print(json.dumps({"peer": f"scikit-learn {sklearn.__version__}", "right": right}))
