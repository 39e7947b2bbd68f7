# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportIncompatibleMethodOverride=false
# (torch types the children of a Module as Tensor | Module)
"""The networks of chapter 3: their sizes, what time and norm do in them, and that their gradients agree."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from nodelib.models import checkpoints, table1
from nodelib.models.odenet import ConvField, ODEBlock, ODENet, RKNet, TimeConv
from nodelib.models.resnet import MLP, ResBlock, ResNet, norm, parameter_count, stem


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def double(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64)


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (MLP, 238_510),
        (ODENet, 208_266),
        (RKNet, 208_266),
        (ResNet, 576_778),
        (lambda: ODENet(stem_kind="residual"), 232_970),
        (lambda: ResNet(stem_kind="residual"), 601_482),
        (lambda: ResNet(blocks=1), 206_858),
        (lambda: ResNet(blocks=0), 132_874),
    ],
)
def test_parameters_are_as_in_the_paper_and_its_issue_tracker(make, parameters):
    assert parameter_count(make()) == parameters


def test_frozen_parameters_are_not_counted():
    model = MLP()
    model[1].weight.requires_grad_(False)
    assert parameter_count(model) == 238_510 - 784 * 300


NAMED = {"mlp": 238_510, "resnet": 576_778, "resnet1": 206_858, "resnet0": 132_874, "rknet": 208_266, "odenet": 208_266}


def test_table_1_names_these_networks():
    assert {name: parameter_count(make()) for name, make in table1.MODELS.items()} == NAMED


@pytest.mark.parametrize(("kind", "side", "left"), [("conv", 28, 6), ("residual", 28, 7), ("small", 8, 4)])
@pytest.mark.parametrize("network", [ODENet, ResNet])
def test_shapes_from_stem_to_logits(network, kind, side, left):
    model, x = network(channels=4, stem_kind=kind), torch.rand(3, 1, side, side)
    z = model.stem(x)
    assert z.shape == model.body(z).shape == (3, 4, left, left)
    assert model(x).shape == (3, 10)


def test_the_perceptron_takes_any_side():
    assert MLP(8, 20)(torch.rand(5, 1, 8, 8)).shape == (5, 10)


def test_a_stride_halves_the_image_and_the_shortcut_follows():
    assert ResBlock(4)(torch.rand(2, 4, 8, 8)).shape == (2, 4, 8, 8)
    assert ResBlock(4, 2)(torch.rand(2, 4, 7, 8)).shape == (2, 4, 4, 4)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match='stem must be "conv", "residual" or "small", not \'big\''):
        stem(4, "big")
    with pytest.raises(ValueError, match="gradient must be one of adjoint, backprop, checkpoint, not 'magic'"):
        ODEBlock(ConvField(4), "magic")


# --- what is in them --------------------------------------------------------------------------------------------------


def test_time_conv_is_a_convolution_of_the_image_with_a_channel_of_t():
    layer = TimeConv(4).double()
    t, z, v = double().requires_grad_(), double(3, 4, 6, 5).requires_grad_(), double(3, 4, 6, 5)
    inputs = (t, z, layer.weight, layer.bias)
    channel = t.expand(3, 1, 6, 5)
    plain = F.conv2d(torch.cat([channel, z], 1), layer.weight, layer.bias, padding=1)
    assert (layer(t, z) - plain).abs().max() < 1e-12
    ours, theirs = torch.autograd.grad(layer(t, z), inputs, v), torch.autograd.grad(plain, inputs, v)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).abs().max() < 1e-12


def test_a_field_takes_the_time_as_a_number_too():
    field, z = ConvField(4), torch.randn(2, 4, 3, 3)
    assert torch.equal(field(0.25, z), field(torch.tensor(0.25), z))
    assert torch.equal(field(1, z), field(torch.tensor(1.0, dtype=torch.float64), z))


def test_a_residual_block_is_an_euler_step_of_its_branch():
    """h + g(h): with its last convolution at zero the block is the identity, since nothing follows the sum."""
    block, h = ResBlock(4), torch.randn(2, 4, 5, 5)
    assert (block(h) - h).abs().max() > 0.01
    torch.nn.init.zeros_(block.conv2.weight)
    assert torch.equal(block(h), h)


@pytest.mark.parametrize("channels", [4, 64])
def test_one_images_slope_does_not_depend_on_the_others(channels):
    """So the ODE of a batch is that of each image: a batch norm would tie them together."""
    field, z = ConvField(channels).double(), double(3, channels, 4, 4)
    t = torch.tensor(0.3, dtype=torch.float64)
    others = z.clone()
    others[1:] = 10 * double(2, channels, 4, 4) + 3
    assert (field(t, z)[0] - field(t, others)[0]).abs().max() < 1e-12
    assert (field(t, z)[0] - field(t, z[:1])[0]).abs().max() < 1e-12
    assert (field(t, z)[1] - field(t, others)[1]).abs().max() > 0.01


def test_group_norm_leaves_each_group_with_mean_0_and_variance_1():
    assert (norm(64).num_groups, norm(8).num_groups) == (32, 8)
    groups = norm(64).double()(5 * double(3, 64, 6, 6) + 2).reshape(3, 32, -1)
    assert groups.mean(2).abs().max() < 1e-12
    assert (groups.var(2, correction=0) - 1).abs().max() < 1e-5


# --- gradients --------------------------------------------------------------------------------------------------------


def gradients(model: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Of the sum of the squares of the logits, in x and every parameter."""
    x = x.clone().requires_grad_()
    return list(torch.autograd.grad(model(x).square().sum(), [x, *model.parameters()]))


def same_weights(model: torch.nn.Module, other: torch.nn.Module) -> torch.nn.Module:
    model.double().load_state_dict(other.state_dict())
    return model


def smooth(gradient: str, tol: float) -> ODENet:
    """For images of 8 × 8, with tanh in its field: the kinks of ReLU would make the adjoint's backward solve take
    thousands of steps to a tight tolerance."""
    net = ODENet(4, "small", gradient, tol).double()
    net.body.field.activation = torch.nn.Tanh()
    return net


def difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """|ours - theirs| / |theirs|, over all entries of all tensors."""
    a, b = (torch.cat([g.reshape(-1) for g in each]) for each in (ours, theirs))
    return float((a - b).norm() / b.norm())


def test_the_three_gradients_of_an_ode_net_agree():
    """Checkpoints to round-off; the adjoint the better the tighter the tolerance."""
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    backprop = smooth("backprop", 1e-8)
    exact = gradients(backprop, x)
    ways = ("checkpoint", 1e-8), ("adjoint", 1e-8), ("adjoint", 1e-3)
    checkpoint, tight, loose = (
        difference(gradients(same_weights(smooth(way, tol), backprop), x), exact) for way, tol in ways
    )
    assert checkpoint < 1e-13
    assert tight < 1e-6
    assert 1e-3 < loose < 0.3


def test_rk_net_is_backpropagated():
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    rk = RKNet(4, "small", tol=1e-3).double()
    same = same_weights(ODENet(4, "small", "backprop", 1e-3), rk)
    assert all(torch.equal(a, b) for a, b in zip(gradients(rk, x), gradients(same, x), strict=True))
    rk.body.field.nfe = 0
    loss = rk(x).sum()
    forward = rk.body.field.nfe
    loss.backward()
    assert rk.body.field.nfe == forward > 0  # the way back evaluates nothing anew


def test_evaluations_are_counted_forward_and_backward():
    net = ODENet(4, "small", method="rk4", options={"step_size": 0.25})
    logits = net(torch.rand(2, 1, 8, 8))
    assert net.body.field.nfe == 16
    logits.sum().backward()
    assert net.body.field.nfe == 16 + 1 + 16  # one to see that f is what it was on the way there


# --- trained ones -----------------------------------------------------------------------------------------------------


def test_a_trained_network_is_loaded_by_the_name_of_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", tmp_path)
    model = table1.MODELS["resnet0"]()
    save_file(model.state_dict(), tmp_path / "mnist_resnet0_2epochs_seed1.safetensors")
    loaded = table1.trained("mnist_resnet0_2epochs_seed1")
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(loaded(x), model(x))
    with pytest.raises(FileNotFoundError, match=r"no parameters of 'mnist_mlp' in .* mnist_resnet0_2epochs_seed1"):
        table1.trained("mnist_mlp")
