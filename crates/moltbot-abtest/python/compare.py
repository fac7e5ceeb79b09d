"""Computes the statistics a second time, with SciPy, on random inputs: `python compare.py > ../tests/scipy.csv`.

Each line is a name, the inputs, and last the value. `tests/scipy.rs` compares them with this crate's.
Needs numpy and scipy (`uv pip install scipy`).
"""

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import betainc, betaln, gammainc, gammaln, xlogy
from scipy.stats import chi2, norm

random = np.random.default_rng(20210408)


def row(name, inputs, value):
    print(",".join([name, *(repr(float(x)) for x in inputs), repr(float(value))]))


def best_rho(v, alpha):
    log = np.log(1 / alpha)
    return v / (2 * log + np.log1p(2 * log))


def multinomial(counts, shares, c):
    counts, prior = np.asarray(counts), c * np.asarray(shares)
    up = gammaln(prior + counts).sum() - gammaln(prior.sum() + counts.sum())
    down = gammaln(prior).sum() - gammaln(prior.sum())
    return up - down - xlogy(counts, shares).sum()


def bounded(n, s, m, t, difference):
    def minus_likelihood(p):
        q = p + difference
        parts = xlogy(s, p) + xlogy(n - s, 1 - p) + xlogy(t, q) + xlogy(m - t, 1 - q)
        return -parts

    low, high = max(0, -difference), min(1, 1 - difference)
    best = minimize_scalar(minus_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    mixture = betaln(0.5 + s, 0.5 + n - s) + betaln(0.5 + t, 0.5 + m - t) - 2 * betaln(0.5, 0.5)
    return mixture + best.fun


def beta_binomial(s, v, v_opt, g, h, one_sided):
    rho = best_rho(v_opt, 0.1 if one_sided else 0.05)
    r, x = max(rho - g * h, 1e-3 * g * h), h / (g + h)

    def ln_b(s, v):
        a, b = (r + v - g * s) / (g * (g + h)), (r + v + h * s) / (h * (g + h))
        return betaln(a, b) + (np.log(betainc(a, b, x)) if one_sided else 0)

    up, down = (v + h * s) / (h * (g + h)), (v - g * s) / (g * (g + h))
    return v / (g * h) * np.log(g + h) - up * np.log(g) - down * np.log(h) + ln_b(s, v) - ln_b(0, 0)


def gamma_exponential(s, v, v_opt, c):
    rho = best_rho(v_opt, 0.1)
    k, shape = rho / c**2, (v + rho) / c**2
    moved = (c * s + v) / c**2
    at = moved + k
    lead = k * np.log(k) - gammaln(k) - np.log(gammainc(k, k))
    return lead + gammaln(shape) + np.log(gammainc(shape, at)) - shape * np.log(at) + moved


for _ in range(40):
    n = int(10 ** random.uniform(0, 7))
    counts = random.multinomial(n, [0.5, 0.3, 0.2])
    weights = [5, 3, 2]
    row("multinomial", [*counts, *weights, 100], multinomial(counts, np.array(weights) / 10, 100))
    statistic = ((counts - n * np.array([0.5, 0.3, 0.2])) ** 2 / (n * np.array([0.5, 0.3, 0.2]))).sum()
    row("chi_square", [*counts, *weights], chi2.sf(statistic, 2))

    n, m = (int(10 ** random.uniform(1, 6)) for _ in range(2))
    s, t = random.binomial(n, 0.9), random.binomial(m, 0.93)
    difference = random.uniform(-0.1, 0.1)
    row("bounded", [n, s, m, t, difference], bounded(n, s, m, t, difference))

    s, v = random.uniform(0, 30), random.uniform(40, 400)
    row("normal_one", [s, v], np.log(4 * best_rho(100, 0.1) / (v + best_rho(100, 0.1))) / 2
        + s**2 / (2 * (v + best_rho(100, 0.1))) + norm.logcdf(s / np.sqrt(v + best_rho(100, 0.1))))
    row("beta_two", [s, v, 0.2, 0.8], beta_binomial(s, v, 100, 0.2, 0.8, False))
    row("beta_one", [s, v, 0.2, 0.8], beta_binomial(s, v, 100, 0.2, 0.8, True))
    row("gamma", [s, v, 2.0], gamma_exponential(s, v, 100, 2.0))

    difference, variance, time = random.uniform(-1, 1), 10 ** random.uniform(-4, 0), 10 ** random.uniform(2, 5)
    tau = 10 ** random.uniform(-2, 0)
    # the mixture as what it is: an integral over effects, here by the ratio of two normal densities
    ratio = norm.logpdf(difference, 0, np.sqrt(variance + tau**2)) - norm.logpdf(difference, 0, np.sqrt(variance))
    row("mixture", [difference, variance, tau], ratio)
    rho2 = (-2 * np.log(0.05) + np.log1p(-2 * np.log(0.05))) / 1000
    same = norm.logpdf(difference, 0, np.sqrt(variance * (1 + time * rho2))) - norm.logpdf(
        difference, 0, np.sqrt(variance))
    row("asymptotic", [difference, variance, time], same)

    n, p = int(10 ** random.uniform(3, 6)), random.uniform(0.5, 0.99)
    c = best_rho(5000, 0.05)

    def against(k):
        a, b = c * p, c * (1 - p)
        return betaln(a + k, b + n - k) - betaln(a, b) - xlogy(k, p) - xlogy(n - k, 1 - p) - np.log(20)

    row("quantile_low", [n, p], np.ceil(brentq(against, 0, n * p, xtol=1e-9)))
