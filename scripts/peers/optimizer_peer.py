#!/usr/bin/env python3
"""Solves one reference budget problem as people do in Python, and prints {solver, cpu_seconds, quality} as JSON.

Up to 300 arms by scipy's SLSQP with gradients, more by a piecewise linear concave envelope in cvxpy with HiGHS.
CPU is that of the solving alone, on one thread. Needs numpy, scipy and, for large problems, cvxpy with highspy.
"""
import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np


def load(path):
    with open(path, encoding="utf-8") as file:
        problem = json.load(file)
    arms = problem["arms"]
    column = lambda key: np.array([float(arm[key]) for arm in arms])
    return problem, {key: column(key) for key in ("beta", "alpha", "k", "min", "max", "value")}


def respond(a, x):
    power = (np.maximum(x, 1e-12) / a["k"]) ** a["alpha"]
    return a["beta"] * power / (1 + power)


def slope(a, x):
    x = np.maximum(x, 1e-9)
    power = (x / a["k"]) ** a["alpha"]
    return a["beta"] * a["alpha"] * power / (x * (1 + power) ** 2)


def slsqp(problem, a):
    from scipy.optimize import minimize

    budget, n = problem["budget"], len(a["beta"])
    scale = max(1.0, float(np.sum(a["value"] * a["beta"])))
    rows = [{"type": "eq" if problem.get("spend_all") else "ineq", "fun": lambda x: (budget - x.sum()) / budget,
             "jac": lambda x: -np.ones(n) / budget}]
    for group in problem["groups"]:
        member = np.zeros(n)
        member[group["arms"]] = 1
        for limit, sign in ((group.get("max"), 1), (group.get("min"), -1)):
            if limit is not None:
                rows.append({"type": "ineq", "fun": lambda x, m=member, l=limit, s=sign: s * (l - m @ x) / budget,
                             "jac": lambda x, m=member, s=sign: -s * m / budget})
    if problem.get("min_roas"):
        floor = problem["min_roas"]
        rows.append({"type": "ineq", "fun": lambda x: (respond(a, x).sum() - floor * x.sum()) / (floor * budget),
                     "jac": lambda x: (slope(a, x) - floor) / (floor * budget)})
    start = a["min"] + (a["max"] - a["min"]) * max(0.0, min(1.0, (budget - a["min"].sum()) / (a["max"] - a["min"]).sum()))
    # In units of the mean spend: SLSQP stops early when the variables are large and the objective is about one.
    unit = budget / n
    scaled = [{"type": row["type"], "fun": lambda y, f=row["fun"]: f(y * unit), "jac": lambda y, g=row["jac"]: g(y * unit) * unit} for row in rows]
    found = minimize(lambda y: -(a["value"] * respond(a, y * unit)).sum() / scale, start / unit,
                     jac=lambda y: -a["value"] * slope(a, y * unit) * unit / scale,
                     bounds=list(zip(a["min"] / unit, a["max"] / unit)), constraints=scaled, method="SLSQP",
                     options={"maxiter": 500, "ftol": 1e-12})
    return found.x * unit


def envelope(problem, a, pieces=40):
    import cvxpy as cp

    budget, n = problem["budget"], len(a["beta"])
    grid = a["min"][:, None] + (a["max"] - a["min"])[:, None] * (np.linspace(0, 1, pieces + 1) ** 1.5)[None, :]
    value = np.stack([respond(a, grid[:, piece]) for piece in range(pieces + 1)], axis=1)
    widths, gains = np.zeros((n, pieces)), np.zeros((n, pieces))
    for arm in range(n):
        hull = [0]
        for point in range(1, pieces + 1):
            while len(hull) > 1:
                p, q = hull[-2], hull[-1]
                if (value[arm, q] - value[arm, p]) * (grid[arm, point] - grid[arm, q]) <= (value[arm, point] - value[arm, q]) * (grid[arm, q] - grid[arm, p]):
                    hull.pop()
                else:
                    break
            hull.append(point)
        for piece, (p, q) in enumerate(zip(hull, hull[1:])):
            widths[arm, piece] = grid[arm, q] - grid[arm, p]
            gains[arm, piece] = (value[arm, q] - value[arm, p]) / max(widths[arm, piece], 1e-12)
    part = cp.Variable((n, pieces), nonneg=True)
    spend = a["min"] + cp.sum(part, axis=1)
    earned = value[:, 0] + cp.sum(cp.multiply(gains, part), axis=1)
    rows = [part <= widths, cp.sum(spend) == budget if problem.get("spend_all") else cp.sum(spend) <= budget]
    for group in problem["groups"]:
        total = cp.sum(spend[group["arms"]])
        rows += [total <= group["max"]] if group.get("max") is not None else []
        rows += [total >= group["min"]] if group.get("min") is not None else []
    if problem.get("min_roas"):
        rows.append(cp.sum(earned) >= problem["min_roas"] * cp.sum(spend))
    cp.Problem(cp.Maximize(a["value"] @ earned), rows).solve(solver=cp.HIGHS)
    return None if spend.value is None else np.asarray(spend.value)


def quality(problem, a, x):
    if x is None:
        return "infeasible"
    slack = 1e-5 * problem["budget"]
    total = x.sum()
    kept = total <= problem["budget"] + slack and (x >= a["min"] - slack).all() and (x <= a["max"] + slack).all()
    for group in problem["groups"]:
        of_group = x[group["arms"]].sum()
        kept &= group.get("min") is None or of_group >= group["min"] - slack
        kept &= group.get("max") is None or of_group <= group["max"] + slack
    kept &= not problem.get("min_roas") or respond(a, x).sum() >= problem["min_roas"] * total - slack
    bound = (problem.get("reference") or {}).get("upper_bound")
    if not kept:
        return "violates a constraint"
    return float((a["value"] * respond(a, x)).sum() / bound) if bound else "feasible"


def main():
    problem, a = load(sys.argv[1])
    is_small = len(problem["arms"]) <= 300
    if is_small:
        import scipy.optimize  # noqa: F401  loading is not solving
    else:
        import cvxpy  # noqa: F401
    begin = time.process_time()
    x = slsqp(problem, a) if is_small else envelope(problem, a)
    spent = time.process_time() - begin
    solver = "scipy SLSQP" if is_small else "cvxpy envelope, HiGHS"
    print(json.dumps({"solver": solver, "cpu_seconds": spent, "quality": quality(problem, a, x)}))


if __name__ == "__main__":
    main()
