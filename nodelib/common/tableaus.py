"""Butcher tableaus: the numbers that tell one Runge-Kutta method from another. Data, no solver.

A method with s stages computes, from (t, y) and a step h,

    k_i = f(t + c_i h, y + h Σ_{j<i} a_ij k_j),    y_new = y + h Σ_i b_i k_i,

and an embedded pair also the error estimate h Σ_i (b_i - b̂_i) k_i, where b̂ belongs to a method of one order less.
``dense`` holds the weights as polynomials in θ, b_i(θ) = Σ_m dense[i][m] θ^(m+1): the same stages then give the
solution anywhere inside the step, y(t + θh) = y + h Σ_i b_i(θ) k_i.

The letters are those of Hairer, Nørsett & Wanner, *Solving Ordinary Differential Equations I* (1993), chapter II
(HNW below). Numbers are exact fractions wherever they were published so; tsit5 and the dense output of dopri8 were
published as decimals. To add a method, add an entry: ``tests/test_tableaus.py`` checks its order conditions.
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, eq=False)
class Tableau:
    """One explicit Runge-Kutta method, its numbers as exact fractions.

    name, source: what it is called, and where it was published.
    order:        p, the order of y_new (global error O(h^p)).
    c, a, b:      nodes (s), stage weights (row i has i entries), solution weights (s).
    b_err:        b - b̂, the weights of the error estimate (s), or None for a method without one.
    dense:        per stage the coefficients of θ, θ², … in b_i(θ).
    dense_order:  order of the dense output (global, so that one less than ``order`` loses nothing at its ends).
    """

    name: str
    order: int
    dense_order: int
    source: str
    c: tuple[Fraction, ...]
    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    b_err: tuple[Fraction, ...] | None
    dense: tuple[tuple[Fraction, ...], ...]

    @property
    def stages(self) -> int:
        """Number of stages s."""
        return len(self.b)

    @property
    def fsal(self) -> bool:
        """First Same As Last: the last stage is f(t + h, y_new), which the next step starts from."""
        return self.c[-1] == 1 and self.b == (*self.a[-1], 0)


def _row(numbers: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(number) for number in numbers.split())


def _tableau(
    name: str,
    order: int,
    dense_order: int,
    source: str,
    *,
    a: list[str],
    b: str | None = None,
    c: str | None = None,
    b_hat: str | None = None,
    dense: list[str],
) -> Tableau:
    """Read a tableau, ``a`` from its second row on. Without ``b`` it is FSAL; without ``c`` the nodes are row sums."""
    rows = ((), *map(_row, a))
    nodes = _row(c) if c else tuple(sum(row, Fraction(0)) for row in rows)
    weights = _row(b) if b else (*rows[-1], Fraction(0))
    b_err = tuple(x - x_hat for x, x_hat in zip(weights, _row(b_hat), strict=True)) if b_hat else None
    return Tableau(name, order, dense_order, source, nodes, rows, weights, b_err, tuple(map(_row, dense)))


TABLEAUS = {
    tableau.name: tableau
    for tableau in (
        _tableau("euler", 1, 1, "Euler (1768)", a=[], b="1", dense=["1"]),
        _tableau("midpoint", 2, 2, "Runge (1895)", a=["1/2"], b="0 1", dense=["1 -1", "0 1"]),
        _tableau("heun", 2, 2, "Heun (1900); the trapezoid", a=["1"], b="1/2 1/2", dense=["1 -1/2", "0 1/2"]),
        _tableau(
            "rk4",
            4,
            3,
            "Kutta (1901), the classical method",
            a=["1/2", "0 1/2", "0 0 1"],
            b="1/6 1/3 1/3 1/6",
            dense=["1 -3/2 2/3", "0 1 -2/3", "0 1 -2/3", "0 -1/2 2/3"],
        ),
        _tableau(
            "rk4_38",
            4,
            3,
            "Kutta (1901), the 3/8 rule",
            a=["1/3", "-1/3 1", "1 -1 1"],
            b="1/8 3/8 3/8 1/8",
            dense=["1 -15/8 1", "0 15/8 -3/2", "0 3/8 0", "0 -3/8 1/2"],
        ),
        _tableau(
            "heun_euler",
            2,
            2,
            "Heun (1900) with Euler's method as its error estimate",
            a=["1"],
            b="1/2 1/2",
            b_hat="1 0",
            dense=["1 -1/2", "0 1/2"],
        ),
        _tableau(
            "bosh3",
            3,
            3,
            "Bogacki & Shampine, Appl. Math. Lett. 2 (1989) 321",
            a=["1/2", "0 3/4", "2/9 1/3 4/9"],
            b_hat="7/24 1/4 1/3 1/8",
            dense=["1 -4/3 5/9", "0 1 -2/3", "0 4/3 -8/9", "0 -1 1"],
        ),
        _tableau(
            "dopri5",
            5,
            4,
            "Dormand & Prince, J. Comput. Appl. Math. 6 (1980) 19; dense output: Shampine, Math. Comp. 46 (1986) 135",
            a=[
                "1/5",
                "3/40 9/40",
                "44/45 -56/15 32/9",
                "19372/6561 -25360/2187 64448/6561 -212/729",
                "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
                "35/384 0 500/1113 125/192 -2187/6784 11/84",
            ],
            b_hat="5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40",
            dense=[
                "1 -8048581381/2820520608 8663915743/2820520608 -12715105075/11282082432",
                "0 0 0 0",
                "0 131558114200/32700410799 -68118460800/10900136933 87487479700/32700410799",
                "0 -1754552775/470086768 14199869525/1410260304 -10690763975/1880347072",
                "0 127303824393/49829197408 -318862633887/49829197408 701980252875/199316789632",
                "0 -282668133/205662961 2019193451/616988883 -1453857185/822651844",
                "0 40617522/29380423 -110615467/29380423 69997945/29380423",
            ],
        ),
        _tableau(
            "tsit5",
            5,
            4,
            "Tsitouras, Comput. Math. Appl. 62 (2011) 770; last digits from the row sums and quadrature conditions",
            a=[
                "0.161",
                "-0.008480655492356989 0.335480655492356989",
                "2.8971530571054935 -6.359448489975075 4.3622954328695815",
                "5.32586482843925643573 -11.748883564062828 7.4955393428898365 -0.09249506636175525",
                "5.861455442946420383 -12.92096931784711 8.159367898576159 -0.071584973281401 -0.028269050394068383",
                "0.096460766818065488 0.01 0.479889650414499602 1.37900857410374189 -3.29006951543608084 "
                "2.32471052409977386",
            ],
            c="0 0.161 0.327 0.9 0.98002554090450968573 1 1",
            b_hat="0.094680755765839417 0.009183565540343254 0.487770528424761595 1.234297566930478943 "
            "-2.707712349983525454 1.866628418170587035 0.015151515151515152",
            dense=[
                "1 -2.763706197274825911 2.913255461821912704 -1.0530884977290216",
                "0 0.13169999999999998 -0.2234 0.1017",
                "0 3.930296236894749078 -5.941033872131504734 2.490627285651252793",
                "0 -12.41107716693368183 30.338188630282326069 -16.54810288924490272",
                "0 37.509313416511039198 -88.178904894766401081 47.37952196281928122",
                "0 -27.896526289197287788 65.09189467479367153 -34.87065786149660974",
                "0 1.5 -4 2.5",
            ],
        ),
        _tableau(
            "dopri8",
            8,
            5,
            "Prince & Dormand, J. Comput. Appl. Math. 7 (1981) 67, RK8(7)13M, with f(t + h, y_new) as a last stage; "
            "dense output as in torchdiffeq",
            a=[
                "1/18",
                "1/48 1/16",
                "1/32 0 3/32",
                "5/16 0 -75/64 75/64",
                "3/80 0 0 3/16 3/20",
                "29443841/614563906 0 0 77736538/692538347 -28693883/1125000000 23124283/1800000000",
                "16016141/946692911 0 0 61564180/158732637 22789713/633445777 545815736/2771057229 "
                "-180193667/1043307555",
                "39632708/573591083 0 0 -433636366/683701615 -421739975/2616292301 100302831/723423059 "
                "790204164/839813087 800635310/3783071287",
                "246121993/1340847787 0 0 -37695042795/15268766246 -309121744/1061227803 -12992083/490766935 "
                "6005943493/2108947869 393006217/1396673457 123872331/1001029789",
                "-1028468189/846180014 0 0 8478235783/508512852 1311729495/1432422823 -10304129995/1701304382 "
                "-48777925059/3047939560 15336726248/1032824649 -45442868181/3398467696 3065993473/597172653",
                "185892177/718116043 0 0 -3185094517/667107341 -477755414/1098053517 -703635378/230739211 "
                "5731566787/1027545527 5232866602/850066563 -4093664535/808688257 3962137247/1805957418 "
                "65686358/487910083",
                "403863854/491063109 0 0 -5068492393/434740067 -411421997/543043805 652783627/914296604 "
                "11173962825/925320556 -13158990841/6184727034 3936647629/1978049680 -160528059/685178525 "
                "248638103/1413531060 0",
                "14005451/335480064 0 0 0 0 -59238493/1068277825 181606767/758867731 561292985/797845732 "
                "-1041891430/1371343529 760417239/1151165299 118820643/751138087 -528747749/2220607170 1/4",
            ],
            c="0 1/18 1/12 1/8 5/16 3/8 59/400 93/200 5490023248/9719169821 13/20 1201146811/1299019798 1 1 1",
            b_hat="13451932/455176623 0 0 0 0 -808719846/976000145 1757004468/5645159321 656045339/265891186 "
            "-3867574721/1518517206 465885868/322736535 53011238/667516719 2/45 0 0",
            dense=[
                "1 -6.6910181737837595697 19.9990069333683970610 -30.0610568289666450593 22.1396504998094068976 "
                "-6.3448349392860401388",
                *["0 0 0 0 0 0"] * 4,
                "0 -7.6142658045872677172 52.2273532792945524050 -121.4999627731334642623 116.4422149550342161651 "
                "-39.6107919852202505218",
                "0 10.7281392630428866124 -46.8919164181093621583 83.1721004639847717481 -67.1451318825957197185 "
                "20.3761213808791436958",
                "0 0.5526637063753648783 -0.1890893225010595467 9.5724507555993664382 -16.5672243527496524646 "
                "7.3347098826795362023",
                "0 4.2186562625665153803 -35.7075975946222072821 87.8406057677205645007 -89.9916014847245016028 "
                "32.8801774352459155182",
                "0 -0.6627209125361597559 6.2736448083240352160 -17.4152107770762969005 22.6237489648532849093 "
                "-10.1588990526426760954",
                "0 -1.2636789001135462218 10.3160881272450748458 -28.5903289514790976966 32.2362340167355370113 "
                "-12.5401268098782561200",
                "0 5.4106037898590422230 -34.7650769866611817349 81.6630950584341412934 -82.1020315488359848644 "
                "29.5553001484516038033",
                "0 -7.0321379067945741781 47.7457971078225540396 -114.9375291377009418170 116.2662185791119533462 "
                "-41.7923486424390588923",
                "0 2.3537586759714983486 -19.0082099341608028453 50.2558364226176017553 -53.9020777466385396792 "
                "20.3006925822100825485",
            ],
        ),
    )
}
