"""Claims on what makes a neural ODE slow, on low precision, and on what earlier chapters measured."""

from nodelib.chapters.chapter6.audit import Claim

CLAIMS = (
    Claim(
        key="nfe_grows_for_complexity",
        claim="Evaluations grow in training, as the model grows more complex.",
        made="[P] § 3, Figure 3d",
        known=(
            "Much of that complexity is needless: penalties on the path keep it down (Finlay et al. 2020; Kelly et "
            "al. 2020)."
        ),
        section="6.7",
        verdict="holds, on a condition",
        bounds={
            "plain > 3 first": lambda first, plain, **_: plain > 3 * first,
            "at equal loss < 0.5": lambda equal, plain_at_equal, **_: equal < 0.5 * plain_at_equal,
            "accuracy = 1": lambda accuracy, **_: accuracy == 1,
        },
        says="{first:.0f} evaluations before, {plain:.0f} after, all points right; at equal loss, means of ten seeds, "
        "{equal:.0f} with |z″|² for {plain_at_equal:.0f}",
    ),
    Claim(
        key="implicit_would_help",
        claim="Where the field becomes stiff, an implicit method helps.",
        made="often said",
        known="From some stiffness on, in many dimensions a higher one: Jacobians take D products, linear systems D³.",
        section="6.7",
        verdict="holds, on a condition",
        bounds={
            "explicit > 8 implicit": lambda explicit, implicit, stiff, large: explicit > 8 * implicit,
            "stiff, D = 2: 10 times faster": lambda explicit, implicit, stiff, large: stiff > 10,
            "mild, D = 200: slower": lambda explicit, implicit, stiff, large: large < 0.7,
        },
        says="rate 1,000, D = 20: {explicit:.0f} evaluations against {implicit:.0f}, products among them; recorded, "
        "time of the explicit solve over the implicit: {stiff:.0f} (rate 10,000, D = 2), {large:.2f} (100, D = 200)",
    ),
    Claim(
        key="low_precision",
        claim="The field may be computed in low precision.",
        made="often done",
        known="Rounding inside f is noise to the error estimate. Rounded weights are another smooth field.",
        section="6.10",
        verdict="holds, on a condition",
        bounds={
            "all bfloat16 > 10 exact": lambda exact, bf16, tf32, int8, error: bf16 > 10 * exact,
            "TF32 > 2.5 exact": lambda exact, bf16, tf32, int8, error: tf32 > 2.5 * exact,
            "int8 within 10 of exact": lambda exact, bf16, tf32, int8, error: abs(int8 - exact) <= 10,
            "error of int8 > 0.01": lambda exact, bf16, tf32, int8, error: error > 0.01,
        },
        says="at 1e-6: {exact:.0f} evaluations in double, {tf32:.0f} with TF32, {bf16:.0f} in bfloat16; {int8:.0f} "
        "with weights in int8, and an error of {error:.2g}",
    ),
    Claim(
        key="trace_is_cheap",
        claim="One draw of the random trace serves a whole solve.",
        made="Grathwohl et al. 2019 (FFJORD)",
        known="Yes. A fresh draw at each evaluation is noise to the error estimate.",
        section="6.12",
        verdict="holds",
        bounds={"fresh not done": lambda kept, fresh: fresh >= 1800, "kept < 40": lambda kept, fresh: kept < 40},
        says="at 1e-3: {kept:.0f} evaluations with one draw, {fresh:.0f} and not done with fresh ones",
    ),
    Claim(
        key="smooth_activations",
        claim="Prefer smooth activations to ReLU.",
        made="torchdiffeq's FAQ",
        known="In evaluations, yes: somewhat at a loose tolerance, several times at a tight one.",
        section="6.12",
        verdict="holds",
        bounds={
            "at 1e-3 > 1.2 tanh's": lambda loose, tight: loose > 1.2,
            "at 1e-7 > 4 tanh's": lambda loose, tight: tight > 4,
        },
        says="ReLU's evaluations over tanh's, ten random fields: {loose:.1f} at 1e-3, {tight:.0f} at 1e-7",
    ),
    Claim(
        key="fewer_parameters",
        claim="Being an ODE is what saves the ODE-Net two thirds of a ResNet's parameters.",
        made="read into earlier versions of [P]",
        known="A single residual block has as few, and is about as good (Frommer, torchdiffeq issue 25).",
        section="6.12",
        verdict="does not hold",
        bounds={
            "ODE-Net < 0.4 of six blocks": lambda block, ode, six, parameters, odes, resnets: odes < 0.4 * resnets,
            "parameters of one block < of the ODE-Net": lambda block, ode, six, parameters, odes, resnets: (
                parameters <= odes
            ),
            "one block within 0.1 % of the ODE-Net": lambda block, ode, six, parameters, odes, resnets: (
                abs(block - ode) < 0.001
            ),
            "one block within 0.1 % of six": lambda block, ode, six, parameters, odes, resnets: (
                abs(block - six) < 0.001
            ),
        },
        says="MNIST, three seeds: ODE-Net {ode:.2%} wrong with {odes:,.0f} parameters, one block {block:.2%} with "
        "{parameters:,.0f}, six blocks {six:.2%} with {resnets:,.0f}",
    ),
    Claim(
        key="rnn_cannot_irregular",
        claim="On irregular times a latent ODE forecasts better than recurrent networks.",
        made="[P] § 5, Table 2",
        known="Than a plain one. Not than a GRU that decays in the gaps, in steps of its own (Che et al. 2018).",
        section="6.12",
        verdict="holds, on a condition",
        bounds={
            "each GRU nearer than each latent ODE": lambda gru, latent, rnn, mean: gru < latent,
            "plain RNN further": lambda gru, latent, rnn, mean: rnn > 1.5 * mean,
        },
        says="30 observations, nine trainings each: the worst GRU {gru:.3f}, the best latent ODE {latent:.3f}; means "
        "of plain RNN {rnn:.3f} and latent ODE {mean:.3f}",
    ),
)
