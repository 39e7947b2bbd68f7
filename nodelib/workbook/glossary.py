"""The book's words in English, Japanese, Korean and simplified Chinese: data, and the table that shows them.

Each entry gives the term that numerical analysis or machine learning uses in that language; another one in use stands
in brackets. `NOTES` holds the words of five sets of notes on the paper that are to be read differently.
"""

from typing import NamedTuple

from .table import In, Table


class Term(NamedTuple):
    """One idea: its name in four languages and, in English, what it means."""

    en: str
    ja: str
    ko: str
    zh: str
    meaning: str


GLOSSARY: dict[str, tuple[Term, ...]] = {
    "Equations": (
        Term("ordinary differential equation", "常微分方程式", "상미분방정식", "常微分方程",
             "An equation for the rate of change of a state that depends on one variable, here t."),
        Term("neural ODE", "ニューラル常微分方程式", "신경 상미분방정식", "神经常微分方程",
             "An ODE whose right-hand side is a neural network; solving it takes the place of a stack of layers."),
        Term("initial value problem", "初期値問題", "초깃값 문제(초기값 문제)", "初值问题",
             "An ODE and the state at the start; solving it gives the state at later times."),
        Term("dynamics", "ダイナミクス（右辺）", "동역학(우변)", "动力学（右端函数）",
             "The right-hand side f(t, y): how fast and which way the state changes."),
        Term("vector field", "ベクトル場", "벡터장", "向量场",
             "f as a picture: an arrow at every state."),
        Term("trajectory", "軌道", "궤적", "轨迹",
             "The path of the state as t runs."),
        Term("uniqueness", "一意性", "유일성", "唯一性",
             "At any time, each state lies on one trajectory: two never meet."),
    ),
    "Solvers": (
        Term("solver", "ソルバー", "솔버", "求解器",
             "A program that follows a trajectory in finitely many steps."),
        Term("step size", "刻み幅（ステップ幅）", "스텝 크기(단계 크기)", "步长",
             "How far in t one step goes, written h."),
        Term("Euler's method", "オイラー法", "오일러 방법", "欧拉法",
             "The simplest step: y + h f(t, y). Order 1."),
        Term("midpoint method", "中点法", "중점법", "中点法",
             "Uses the slope in the middle of the step, found by half an Euler step. Order 2."),
        Term("Heun's method", "ホイン法", "호인의 방법", "休恩法（改进欧拉法）",
             "Uses the mean of the slopes at both ends of the step. Order 2."),
        Term("Runge–Kutta method", "ルンゲ＝クッタ法", "룽게-쿠타 방법", "龙格－库塔法",
             "Combines several slopes within one step. The classical one takes four. Order 4."),
        Term("Butcher tableau", "ブッチャー配列", "부처 타블로(부처 표)", "布彻表（Butcher 表）",
             "The table of coefficients that defines a Runge–Kutta method."),
        Term("linear multistep method", "線形多段階法", "선형 다단계 방법", "线性多步法",
             "Uses the slopes of earlier steps again. The Adams methods are the best-known."),
        Term("explicit", "陽的（陽解法）", "명시적(양해법)", "显式",
             "A formula gives the next state."),
        Term("implicit", "陰的（陰解法）", "암시적(음해법)", "隐式",
             "The next state stands on both sides of an equation, which each step has to solve."),
        Term("order", "次数", "차수", "阶",
             "In a method of order p, half the step size leaves about 1/2ᵖ of the error."),
        Term("local error", "局所誤差（局所打切り誤差）", "국소 오차(국소 절단 오차)", "局部误差（局部截断误差）",
             "The error that one step makes."),
        Term("global error", "大域誤差", "전역 오차", "整体误差（全局误差）",
             "The error after all steps."),
        Term("tolerance", "許容誤差", "허용 오차", "容差（容许误差）",
             "The local error that you accept: relative (rtol) and absolute (atol)."),
        Term("adaptive step size", "適応刻み幅（可変刻み幅）", "적응 스텝 크기(가변 스텝 크기)", "自适应步长（变步长）",
             "The solver chooses each step so that its estimated local error meets the tolerance."),
        Term("embedded Runge–Kutta method", "埋め込み型ルンゲ＝クッタ法", "내장형 룽게-쿠타 방법", "嵌入式龙格－库塔法",
             "Two formulas of different order from the same slopes; their difference estimates the local error."),
        Term("number of function evaluations (NFE)", "関数評価回数", "함수 평가 횟수", "函数求值次数（函数评估次数）",
             "How often f was evaluated: the cost of a solve."),
        Term("stability region", "安定領域", "안정 영역", "稳定域（稳定区域）",
             "The complex numbers hλ for which the numerical solution of y′ = λy does not grow."),
        Term("stiff", "硬い（スティッフな）", "경직성(강성)", "刚性",
             "Said of an equation on which stability, not accuracy, forces explicit solvers to tiny steps."),
    ),
    "Networks and gradients": (
        Term("residual block", "残差ブロック", "잔차 블록", "残差块",
             "A layer that adds its result to its input: h + f(h)."),
        Term("gradient", "勾配", "그래디언트(기울기)", "梯度",
             "The derivatives of the loss in all parameters, or in a state."),
        Term("backpropagation", "誤差逆伝播法", "역전파", "反向传播",
             "The chain rule from the loss back to the input, through stored intermediate results."),
        Term("automatic differentiation", "自動微分", "자동 미분", "自动微分",
             "Derivatives of a program, exact to round-off, put together from those of its operations."),
        Term("Jacobian matrix", "ヤコビ行列", "야코비 행렬", "雅可比矩阵",
             "The matrix of all partial derivatives ∂fᵢ/∂zⱼ."),
        Term("vector–Jacobian product (VJP)", "ベクトル・ヤコビ行列積", "벡터-야코비 행렬 곱", "向量－雅可比积",
             "vᵀ ∂f/∂z in one backward pass, without ever forming the matrix."),
        Term("adjoint", "随伴変数（随伴ベクトル）", "수반 변수(수반 상태)", "伴随变量（伴随状态）",
             "a(t) = ∂L/∂z(t), a vector of the shape of z: how the loss answers a nudge of the state at time t."),
        Term("adjoint equation", "随伴方程式", "수반 방정식", "伴随方程",
             "da/dt = −aᵀ ∂f/∂z, solved from t₁ back to t₀."),
        Term("adjoint method", "随伴法（アジョイント法）", "수반법(수반 민감도 방법)", "伴随法（伴随灵敏度法）",
             "Gradients from the adjoint equation instead of from a stored forward pass."),
        Term("terminal condition", "終端条件", "종단 조건", "终值条件（终端条件）",
             "What is known at the end, a(t₁) = ∂L/∂z(t₁); the solve back starts from it."),
        Term("augmented state", "拡大状態（拡張状態）", "확장 상태(증강 상태)", "增广状态",
             "A state with more appended, such as [z, a, a_θ], and solved as one ODE."),
        Term("finite difference", "有限差分", "유한 차분", "有限差分",
             "(L(θ + ε) − L(θ − ε)) / 2ε: what every gradient in this book is checked against."),
        Term("checkpointing", "チェックポイント法", "체크포인팅", "检查点技术",
             "Storing some states on the way there and recomputing the rest on the way back."),
    ),
    "Later chapters": (
        Term("normalizing flow", "正規化流（正規化フロー）", "정규화 흐름", "归一化流（标准化流）",
             "A density made from a simple one by invertible maps."),
        Term("change of variables", "変数変換", "변수 변환", "变量替换（变量变换）",
             "How a density changes under an invertible map: by the determinant of its Jacobian matrix."),
        Term("trace", "トレース（跡）", "대각합(트레이스)", "迹",
             "The sum of a matrix's diagonal; in continuous time it takes the place of the determinant."),
        Term("latent variable", "潜在変数", "잠재 변수", "隐变量（潜变量）",
             "A quantity in the model that the data do not show."),
        Term("irregularly sampled time series", "不等間隔の時系列", "불규칙 시계열", "不规则采样的时间序列",
             "Observations at unequal intervals."),
        Term("homeomorphism", "同相写像", "위상 동형 사상", "同胚",
             "A continuous map with a continuous inverse. The flow of an ODE is one."),
    ),
}  # fmt: skip

# Three things that one word may mean: (what it is, ja, ko, zh). The book is about the first and never uses the last.
ADJOINTS = (
    ("the adjoint a(t) = ∂L/∂z(t): a vector",
     "随伴変数（随伴ベクトル）", "수반 변수", "伴随变量"),
    ("the adjoint of a matrix A: its conjugate transpose; for real A simply Aᵀ",
     "随伴行列", "수반 행렬(켤레 전치)", "共轭转置"),
    ("the adjugate of a matrix A: its cofactors, transposed; det(A) A⁻¹ where A is invertible",
     "余因子行列（古典随伴行列）", "고전적 수반 행렬", "伴随矩阵"),
)  # fmt: skip

# (where, language, what it says, what to read, why)
NOTES = (
    ("Japanese article", "ja", "随伴行列", "随伴ベクトル",
     "a(t) is a vector of the shape of z(t)."),
    ("Japanese article", "ja", "初期値", "終端条件",
     "Said of a(t₁): it is known at the end of the interval, and the solve runs back from there."),
    ("Korean notes", "ko", "초기값", "종단 조건",
     "Said of a(1): it is known at the end of the interval, and the solve runs back from there."),
    ("Japanese slides", "ja", "ヤコビアン", "ヤコビ行列式",
     "It is the determinant that costs O(D³)."),
    ("Japanese article", "ja", "ヤコビアン", "ヤコビ行列",
     "∂f/∂θ is the matrix. Since the word means both, this book says which."),
    ("Japanese slides", "ja", "ドリフト関数", "ダイナミクス（右辺）",
     "Drift is a word of stochastic equations; here nothing is random."),
    ("Japanese slides", "ja", "トレランス", "許容誤差",
     "The same thing. It bounds the local error only."),
    ("Korean notes", "ko", "오차 허용치", "허용 오차",
     "The same thing. It bounds the local error only."),
    ("Chinese notes", "zh-Hans", "误差阈值", "容差",
     "The same thing. It bounds the local error only."),
    ("Chinese notes", "zh-Hans", "中点法（RK2）", "休恩法（改进欧拉法）",
     "The formula given there is the mean of both end slopes, which is Heun's."),
    ("Korean notes", "ko", "Runge-Kutta 통합기", "Runge-Kutta 적분기",
     "An integrator in the sense of integrals."),
    ("Korean notes", "ko", "비선형 최적화 문제", "비선형 방정식",
     "An implicit step solves an equation and minimises nothing."),
)  # fmt: skip


def terms(part: str) -> Table:
    """The terms of one part of ``GLOSSARY``; raises KeyError with the parts there are when ``part`` is none of them."""
    if part not in GLOSSARY:
        raise KeyError(f"terms: no part {part!r}; there are {', '.join(map(repr, GLOSSARY))}")
    header = ("English", "Japanese", "Korean", "Chinese", "meaning")
    return Table(header, [(term.en, *_cjk(term.ja, term.ko, term.zh), term.meaning) for term in GLOSSARY[part]])


def adjoints() -> Table:
    """What "adjoint" may mean, and the word for each in the three languages."""
    return Table(("English", "Japanese", "Korean", "Chinese"), [(en, *_cjk(*words)) for en, *words in ADJOINTS])


def notes() -> Table:
    """The notes' words that are to be read differently."""
    rows = [(where, In(lang, says), In(lang, read), why) for where, lang, says, read, why in NOTES]
    return Table(("where", "says", "read", "why"), rows)


def _cjk(ja: str, ko: str, zh: str) -> tuple[In, In, In]:
    return In("ja", ja), In("ko", ko), In("zh-Hans", zh)
