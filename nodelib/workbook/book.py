"""What is in the book: its chapters, and where each equation, algorithm, table and figure of the paper is found in it.

The paper is Chen, Rubanova, Bettencourt and Duvenaud, "Neural Ordinary Differential Equations", NeurIPS 2018,
arXiv:1806.07366; its numbering here is that of version 5.
"""

from typing import NamedTuple

from nodelib.workbook.minutes import NOTEBOOKS, Minutes, minutes
from nodelib.workbook.table import Table


class Chapter(NamedTuple):
    """One notebook: what it shows, and what to know before."""

    file: str
    title: str
    shows: str
    needs: str

    @property
    def ready(self) -> bool:
        """Whether this version of the book has it."""
        return (NOTEBOOKS / self.file).exists()

    @property
    def minutes(self) -> Minutes:
        """How long it takes, exercises included; raises OSError where it is not ready."""
        return minutes(NOTEBOOKS / self.file)


class Entry(NamedTuple):
    """One item of the paper: what it says, and the chapter, sections and names under ``nodelib`` where it is found."""

    item: str
    says: str
    chapter: int
    sections: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


CHAPTERS = (
    Chapter("00_start_here.ipynb", "Start here", "what is where, your machine, the words", "nothing"),
    Chapter("01_resnet_as_euler.ipynb", "A residual network is Euler's method",
            "solvers from Euler to adaptive Runge–Kutta; from layers to time",
            "Python with numpy; Taylor's theorem, complex numbers, eigenvalues"),
    Chapter("02_adjoint.ipynb", "The adjoint",
            "gradients of a solve, derived, checked, and compared",
            "chapter 1; the chain rule in several variables"),
    Chapter("03_mnist.ipynb", "Images",
            "ResNet against ODE-Net on MNIST, measured; what its solver does meanwhile",
            "chapter 2; training a network in torch"),
    Chapter("04_cnf.ipynb", "Continuous normalizing flows",
            "densities that an ODE carries along; the paper's comparisons, measured; flow matching",
            "chapter 2; densities and determinants; training a network in torch"),
    Chapter("05_latent_ode.ipynb", "Latent ODEs",
            "irregular time series and events; the paper's comparison, with rivals; why trainings fail",
            "chapter 2; training a network in torch"),
    Chapter("06_limitations.ipynb", "Limitations",
            "where it fails and what to do then; the claims audited, one by one",
            "chapters 1 and 2"),
)  # fmt: skip

MAP = (
    Entry("Eq. 1", "h ← h + f(h, θₜ): a residual block", 1, ("1.1",), ("numpy_ode.odeint",)),
    Entry("Eq. 2", "dh/dt = f(h, t, θ)", 1, ("1.6",), ("numpy_ode.solve", "torch_ode.solve")),
    Entry("Eq. 3", "L(ODESolve(z(t₀), f, t₀, t₁, θ))", 2, ("2.1",), ("numpy_ode.odeint", "torch_ode.odeint")),
    Entry("Eq. 4", "da/dt = −aᵀ ∂f/∂z", 2, ("2.2", "2.3"), ("numpy_ode.odeint_adjoint", "torch_ode.odeint_adjoint")),
    Entry("Eq. 5", "dL/dθ = −∫ aᵀ ∂f/∂θ dt, from t₁ to t₀", 2, ("2.4",),
          ("numpy_ode.odeint_adjoint", "gradcheck.check_gradient")),
    Entry("Eq. 6", "log p changes by −log |det ∂f/∂z|", 4, ("4.2",), ("models.flows.PlanarFlow",)),
    Entry("Eq. 7", "the planar flow", 4, ("4.2",), ("models.flows.PlanarFlow",)),
    Entry("Eq. 8", "d log p/dt = −tr(∂f/∂z)", 4, ("4.3",), ("models.flows.CNF",)),
    Entry("Eq. 9", "the planar continuous flow", 4, ("4.3",), ("models.flow_fields.PlanarField",)),
    Entry("Eq. 10", "a sum of M hidden units; the paper lost the minus sign of its trace", 4, ("4.3",),
          ("models.flow_fields.GatedField",)),
    Entry("Eq. 11–13", "the latent ODE as a generative model", 5, ("5.3",), ("models.latent.LatentODE",)),
    Entry("Algorithm 1", "z, a and dL/dθ in one solve backwards", 2, ("2.5",),
          ("numpy_ode.odeint_adjoint", "torch_ode.odeint_adjoint")),
    Entry("Algorithm 2", "the same with dL/dt₀ and dL/dt₁", 2, ("2.5",),
          ("numpy_ode.odeint_adjoint", "torch_ode.odeint_adjoint")),
    Entry("Theorem 1", "instantaneous change of variables, which is Eq. 8", 4, ("4.3",), ("models.flows.CNF",)),
    Entry("Table 1", "ResNet, RK-Net and ODE-Net on MNIST", 3, ("3.2", "3.3", "3.4"),
          ("models.resnet.ResNet", "models.odenet.RKNet", "models.odenet.ODENet", "chapters.chapter3.table.table1")),
    Entry("Table 2", "spirals: RNN against latent ODE", 5, ("5.1", "5.4"),
          ("models.recurrent.Forecaster", "models.latent.LatentODE", "chapters.chapter5.tables.table2")),
    Entry("Figure 1", "residual blocks beside a vector field", 1, ("1.1", "1.6"),
          ("chapters.chapter1.figures.layers_and_solver", "chapters.chapter1.explorers.depth")),
    Entry("Figure 2", "the adjoint runs back and jumps at each observation", 2, ("2.5",)),
    Entry("Figure 3", "error, time and evaluations of a trained ODE-Net", 3, ("3.5",),
          ("experiments.nfe.figure3", "chapters.chapter3.figures.figure3")),
    Entry("Figure 4", "density matching: planar flows, discrete and continuous", 4, ("4.4",),
          ("experiments.flows.Matching", "chapters.chapter4.figures.density_matching")),
    Entry("Figure 5", "two circles and two moons by maximum likelihood", 4, ("4.5", "4.6"),
          ("experiments.flows.unlikelihood", "chapters.chapter4.figures.likelihood")),
    Entry("Figure 6", "the latent ODE as a computation graph", 5, ("5.3",),
          ("chapters.chapter5.figures.model_at_work",)),
    Entry("Figure 7", "a Poisson process with a latent rate", 5, ("5.9",),
          ("models.poisson.PoissonODE", "chapters.chapter5.poisson_figures.fig7")),
    Entry("Figure 8", "spirals reconstructed and extrapolated", 5, ("5.1", "5.5", "5.6"),
          ("chapters.chapter5.figures.foretold", "chapters.chapter5.explorers.observations")),
    Entry("Figure 9", "what one latent dimension does", 5, ("5.6",),
          ("chapters.chapter5.numbers.LatentPlanes", "chapters.chapter5.explorers.latent_planes")),
    Entry("Section 3, software", "implicit Adams through LSODE and VODE", 1, ("1.3",), ("numpy_ode.odeint",)),
    Entry("Section 6", "minibatches, uniqueness, tolerances, reconstruction", 6, ("6.3", "6.4", "6.5", "6.6"),
          ("torch_ode.solve", "torch_ode.odeint_reversible", "experiments.convergence.convergence",
           "experiments.diagnose.diagnose")),
    Entry("Appendix A", "proof of Theorem 1", 4, ("4.3",)),
    Entry("Appendix B", "the adjoint derived", 2, ("2.3", "2.4")),
    Entry("Appendix D", "the adjoint at several outputs, as autograd code", 2, ("2.5",), ("numpy_ode.odeint_adjoint",)),
    Entry("Appendix E", "training the latent ODE", 5, ("5.3", "5.4"), ("experiments.latent.fit",)),
)  # fmt: skip


def chapters() -> Table:
    """The chapters, with a link to each that this version has."""
    rows = [
        (
            str(number),
            f"[{chapter.title}]({chapter.file})" if chapter.ready else chapter.title,
            chapter.shows,
            chapter.needs,
            str(chapter.minutes) if chapter.ready else "not yet",
        )
        for number, chapter in enumerate(CHAPTERS)
    ]
    return Table(("", "chapter", "what it shows", "what to know before", "minutes (+ boxes)"), rows)


def paper_map() -> Table:
    """Each item of the paper, where the book treats it, and what it is called there (all names under ``nodelib``)."""
    rows = [(entry.item, entry.says, _where(entry), _names(entry)) for entry in MAP]
    return Table(("in the paper", "what it says", "in the book", "in nodelib"), rows)


def _where(entry: Entry) -> str:
    chapter = CHAPTERS[entry.chapter]
    if not chapter.ready:
        return f"chapter {entry.chapter}"
    return f"[{', '.join(entry.sections)}]({chapter.file})"


def _names(entry: Entry) -> str:
    return ", ".join(f"`{name}`" for name in entry.names) if CHAPTERS[entry.chapter].ready else ""
