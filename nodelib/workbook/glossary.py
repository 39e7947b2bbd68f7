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
        Term("Heun's method", "ホイン法", "호인의 방법", "改进欧拉法（休恩法）",
             "Uses the mean of the slopes at both ends of the step. Order 2."),
        Term("Runge–Kutta method", "ルンゲ＝クッタ法", "룽게-쿠타 방법", "龙格－库塔法",
             "Combines several slopes within one step. The classical one takes four. Order 4."),
        Term("Butcher tableau", "ブッチャー配列", "Butcher 표(부처 테이블)", "布彻表（Butcher 表）",
             "The table of coefficients that defines a Runge–Kutta method."),
        Term("linear multistep method", "線形多段法（線形多段階法）", "선형 다단계 방법", "线性多步法",
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
        Term("round-off error", "丸め誤差", "반올림 오차", "舍入误差",
             "The error of keeping finitely many digits."),
        Term("tolerance", "許容誤差", "허용 오차", "容差（容许误差）",
             "The estimated local error that you accept: relative (rtol) and absolute (atol)."),
        Term("adaptive step size",
             "適応刻み幅（可変刻み幅）", "적응형 스텝 크기(가변 스텝 크기)", "自适应步长（变步长）",
             "The solver chooses each step so that its estimated local error meets the tolerance."),
        Term("embedded Runge–Kutta method", "埋め込み型ルンゲ＝クッタ法", "내장 룽게-쿠타 방법", "嵌入式龙格－库塔法",
             "Two formulas of different order from the same slopes; their difference estimates the local error."),
        Term("number of function evaluations (NFE)", "関数評価回数", "함수 평가 횟수", "函数求值次数（函数评估次数）",
             "How often f was evaluated: the cost of a solve."),
        Term("stability region", "安定領域", "안정 영역", "稳定域（稳定区域）",
             "The complex numbers hλ for which the numerical solution of y′ = λy does not grow."),
        Term("stiff, stiffness", "硬い（スティッフな）", "강성(경직성)", "刚性",
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
        Term("Jacobian matrix", "ヤコビ行列", "야코비 행렬(자코비안 행렬)", "雅可比矩阵",
             "The matrix of all partial derivatives ∂fᵢ/∂zⱼ."),
        Term("vector–Jacobian product (VJP)",
             "ベクトル・ヤコビアン積（ベクトル・ヤコビ行列積）", "벡터-야코비안 곱", "向量－雅可比积",
             "vᵀ ∂f/∂z in one backward pass, without ever forming the matrix."),
        Term("adjoint", "随伴変数（随伴ベクトル）", "수반 변수(수반 상태)", "伴随变量（伴随状态）",
             "a(t) = ∂L/∂z(t), a vector of the shape of z: how the loss answers a nudge of the state at time t."),
        Term("adjoint equation", "随伴方程式", "수반 방정식", "伴随方程",
             "da/dt = −aᵀ ∂f/∂z, solved from t₁ back to t₀."),
        Term("adjoint method", "随伴法（アジョイント法）", "수반법(수반 민감도 방법)", "伴随法（伴随灵敏度法）",
             "Gradients from the adjoint equation instead of from a stored forward pass."),
        Term("terminal condition", "終端条件", "종단 조건", "终值条件（终端条件）",
             "What is known at the end, a(t₁) = ∂L/∂z(t₁); the solve back starts from it."),
        Term("augmented state", "拡大状態（拡張状態）", "증강 상태(확장 상태)", "增广状态",
             "A state with more appended, such as [z, a, a_θ], and solved as one ODE."),
        Term("finite difference", "有限差分", "유한 차분", "有限差分",
             "(L(θ + ε) − L(θ − ε)) / 2ε: what every gradient in this book is checked against."),
        Term("checkpointing", "チェックポイント法", "체크포인팅", "检查点技术",
             "Storing some states on the way there and recomputing the rest on the way back."),
    ),
    "Measuring": (
        Term("mini-batch", "ミニバッチ", "미니배치", "小批量",
             "The examples of one gradient step, here solved as one joint ODE."),
        Term("learning-rate schedule", "学習率スケジュール", "학습률 스케줄", "学习率调度",
             "How the learning rate changes in training."),
        Term("group normalization", "グループ正規化", "그룹 정규화", "组归一化",
             "Normalising each image's channels in groups, whatever the batch."),
        Term("regularization", "正則化", "정칙화(규제)", "正则化",
             "A term added to the loss to prefer simpler solutions."),
        Term("test error", "テスト誤り率（テスト誤差）", "테스트 오류율(테스트 오차)", "测试错误率（测试误差）",
             "The share of test images classified wrongly."),
        Term("standard error", "標準誤差", "표준 오차", "标准误（标准误差）",
             "The standard deviation of an estimate, such as a mean over seeds."),
        Term("ablation", "アブレーション（切除実験）", "절제 연구(소거 실험)", "消融实验（消融研究）",
             "Leaving one part out to see what it contributes."),
    ),
    "Flows": (
        Term("normalizing flow", "正規化流（正規化フロー）", "정규화 흐름(정규화 플로우)", "归一化流（标准化流）",
             "A density made from a simple one by invertible maps."),
        Term("continuous normalizing flow (CNF)",
             "連続正規化流（連続正規化フロー）", "연속 정규화 흐름", "连续归一化流（连续标准化流）",
             "A normalizing flow whose invertible map is the flow of an ODE."),
        Term("change of variables", "変数変換", "변수 변환", "变量替换（变量变换）",
             "How a density changes under an invertible map: by the determinant of its Jacobian matrix."),
        Term("instantaneous change of variables", "瞬間変数変換公式", "순간 변수 변환 공식", "瞬时变量替换公式",
             "Along a trajectory, d log p/dt = −tr(∂f/∂z)."),
        Term("trace", "トレース（跡）", "대각합(트레이스)", "迹",
             "The sum of a matrix's diagonal; in continuous time it takes the place of the determinant."),
        Term("probability density", "確率密度", "확률 밀도", "概率密度",
             "Probability per unit of volume; it integrates to 1."),
        Term("base distribution", "基底分布", "기저 분포", "基础分布（基分布）",
             "The simple distribution a flow starts from."),
        Term("log-determinant", "対数行列式", "로그 행렬식", "对数行列式",
             "log |det J|, by which an invertible map changes the log-density."),
        Term("divergence", "発散", "발산", "散度",
             "The trace of ∂f/∂z: how fast f spreads volume."),
        Term("Hutchinson's trace estimator",
             "ハッチンソンのトレース推定", "허친슨 대각합 추정량", "哈钦森迹估计（Hutchinson 迹估计）",
             "εᵀJε, whose mean is tr J for random ε with mean 0 and covariance I."),
        Term("maximum likelihood",
             "最尤推定（最尤法）", "최대 가능도 추정(최대우도 추정)", "最大似然估计（极大似然估计）",
             "Choosing the parameters that give the data the highest density."),
        Term("log-likelihood", "対数尤度", "로그 가능도(로그우도)", "对数似然",
             "The log-density of the data under the model."),
        Term("KL divergence",
             "カルバック・ライブラー情報量（KLダイバージェンス）", "쿨백-라이블러 발산(KL 발산)", "KL散度（相对熵）",
             "The mean of log q − log p under q; not symmetric."),
        Term("planar flow", "平面フロー", "평면 흐름", "平面流",
             "The map z + u h(wᵀz + b), one layer of a simple normalizing flow."),
        Term("flow matching", "フローマッチング", "흐름 매칭(플로우 매칭)", "流匹配",
             "Training f by regression on known velocities, without solving an ODE."),
        Term("diffeomorphism", "微分同相写像", "미분동형사상", "微分同胚",
             "A smooth map with a smooth inverse."),
    ),
    "Latent variables and time series": (
        Term("latent variable", "潜在変数", "잠재 변수", "隐变量（潜变量）",
             "A quantity in the model that the data do not show."),
        Term("latent state", "潜在状態", "잠재 상태", "潜在状态（潜状态）",
             "The state z(t) of a latent ODE, which the data do not show."),
        Term("hidden state", "隠れ状態", "은닉 상태", "隐状态（隐藏状态）",
             "What a recurrent network carries to the next observation."),
        Term("recurrent neural network (RNN)",
             "再帰型ニューラルネットワーク（リカレントニューラルネットワーク）", "순환 신경망", "循环神经网络",
             "A network that updates a hidden state at each observation."),
        Term("encoder", "エンコーダ（符号化器）", "인코더(부호화기)", "编码器",
             "The network that turns observations into a distribution of z₀."),
        Term("decoder", "デコーダ（復号器）", "디코더(복호화기)", "解码器",
             "The network that turns a latent state into a distribution of the data."),
        Term("variational autoencoder (VAE)",
             "変分オートエンコーダ（変分自己符号化器）", "변분 오토인코더(변이형 오토인코더)", "变分自编码器",
             "An encoder and a decoder trained together on the ELBO."),
        Term("evidence lower bound (ELBO)",
             "変分下界（エビデンス下界）", "증거 하한(변분 하한)", "证据下界（变分下界）",
             "A bound from below on the log-likelihood, maximised in its place."),
        Term("prior", "事前分布", "사전 분포", "先验分布",
             "The distribution of z₀ before any observation."),
        Term("posterior", "事後分布", "사후 분포", "后验分布",
             "The distribution of z₀ given the observations."),
        Term("reparameterization trick", "再パラメータ化トリック", "재매개변수화 트릭", "重参数化技巧",
             "Sampling as z = μ + σε, so that gradients reach μ and σ."),
        Term("extrapolation", "外挿（補外）", "외삽", "外推",
             "Prediction outside the observed times."),
        Term("Poisson process", "ポアソン過程", "푸아송 과정(포아송 과정)", "泊松过程",
             "Random events whose counts in disjoint intervals are independent and Poisson."),
        Term("intensity", "強度（強度関数）", "강도(강도 함수)", "强度（强度函数）",
             "The expected number of events per unit of time, λ(t)."),
        Term("irregularly sampled time series", "不等間隔の時系列", "불규칙 시계열", "不规则采样的时间序列",
             "Observations at unequal intervals."),
        Term("irregular sampling", "不規則サンプリング", "불규칙 샘플링", "不规则采样",
             "Observing at unequal intervals."),
        Term("missing value", "欠損値（欠測値）", "결측값(결측치)", "缺失值",
             "A value that was not observed."),
        Term("imputation", "補完（代入）", "결측값 대체(대치)", "插补（填补）",
             "Filling missing values with estimates."),
        Term("time decay", "時間減衰", "시간 감쇠", "时间衰减",
             "Shrinking the hidden state by exp(−τΔt) between observations."),
        Term("root-mean-square error (RMSE)", "二乗平均平方根誤差", "평균 제곱근 오차", "均方根误差",
             "The square root of the mean squared error."),
    ),
    "Limits": (
        Term("homeomorphism", "同相写像", "위상동형사상", "同胚",
             "A continuous map with a continuous inverse. The flow of an ODE is one."),
        Term("Lipschitz continuity", "リプシッツ連続性", "립시츠 연속성", "利普希茨连续性",
             "One constant L with |f(x) − f(y)| ≤ L|x − y| for all x and y."),
        Term("Picard–Lindelöf theorem",
             "ピカール＝リンデレーフの定理", "피카르-린델뢰프 정리", "皮卡－林德勒夫定理（柯西－利普希茨定理）",
             "If f is Lipschitz in the state, the solution exists and is unique."),
        Term("augmentation", "次元の追加（状態の拡張）", "차원 증강", "增广（增维）",
             "Extra dimensions, started at 0, that let trajectories pass each other."),
        Term("reversible solver", "可逆ソルバー", "가역 솔버", "可逆求解器",
             "A solver whose steps can be undone exactly, up to round-off."),
        Term("symplectic method", "シンプレクティック法", "심플렉틱 방법", "辛算法（辛积分法）",
             "A solver whose steps keep areas of position and momentum, and so nearly the energy."),
        Term("Newton's method", "ニュートン法", "뉴턴 방법", "牛顿法",
             "Solving an equation by following its derivative; what an implicit step is found by."),
        Term("quantization", "量子化", "양자화", "量化",
             "Storing numbers with few bits."),
    ),
}  # fmt: skip

# Three things that one word may mean: (what it is, ja, ko, zh). The book is about the first and never uses the last.
ADJOINTS = (
    ("the adjoint a(t) = ∂L/∂z(t): a vector",
     "随伴変数（随伴ベクトル）", "수반 변수", "伴随变量"),
    ("the adjoint of a matrix A: its conjugate transpose; for real A simply Aᵀ",
     "随伴行列（共役転置）", "켤레 전치(에르미트 수반)", "共轭转置"),
    ("the adjugate of a matrix A: its cofactors, transposed; det(A) A⁻¹ where A is invertible",
     "余因子行列（古典随伴行列）", "고전적 수반 행렬(수반행렬, 딸림행렬)", "伴随矩阵"),
)  # fmt: skip

# (where, language, what it says, what to read, why)
NOTES = (
    ("Japanese article", "ja", "随伴行列", "随伴ベクトル",
     "a(t) is a vector of the shape of z(t). The article has both words."),
    ("Japanese article", "ja", "初期値", "終端条件",
     "Said of a(t₁): it is known at the end, and the solve runs back from there. The paper says initial value, too."),
    ("Korean notes", "ko", "초기값", "종단 조건",
     "Said of a(1): it is known at the end, and the solve runs back from there. The paper says initial value, too."),
    ("Japanese slides", "ja", "ヤコビアン", "ヤコビ行列式",
     "Right, and ambiguous: it is the determinant that costs O(D³), and the word means the matrix as well."),
    ("Japanese article", "ja", "ヤコビアン", "ヤコビ行列",
     "∂f/∂θ is the matrix. Since the word means both, this book says which."),
    ("Japanese slides", "ja", "ドリフト関数", "ダイナミクス（右辺）",
     "Drift is a word of stochastic equations; here the equation has no noise."),
    ("Japanese slides", "ja", "トレランス", "許容誤差",
     "The same thing. It bounds an estimate of the local error."),
    ("Korean notes", "ko", "오차 허용치", "허용 오차",
     "The same thing. It bounds an estimate of the local error."),
    ("Chinese notes", "zh-Hans", "误差阈值", "容差",
     "The same thing. It bounds an estimate of the local error."),
    ("Chinese notes", "zh-Hans", "中点法（RK2）", "改进欧拉法（休恩法）",
     "The formula given there is the mean of both end slopes, which is Heun's."),
    ("Korean notes", "ko", "Runge-Kutta 통합기", "Runge-Kutta 적분기",
     "An integrator in the sense of integrals."),
    ("Korean notes", "ko", "비선형 최적화 문제", "비선형 방정식",
     "An implicit step solves an equation and minimises nothing. The paper says nonlinear optimization problem, too."),
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
