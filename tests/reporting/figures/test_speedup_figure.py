"""Figure `speedup`."""

from __future__ import annotations

from factories.pictures import picture, plotted, words
from factories.tables import kernels_table


def test_speedup_is_taken_against_the_faster_torch_row_of_the_same_run() -> None:
    rows = plotted("speedup", kernels=kernels_table())
    assert set(rows["baseline"]) == {"torch bf16 dense"}
    ours = rows[(rows["label"] == "ours, 2:4 INT4") & (rows["m"] == 1)]
    assert list(ours["speedup"]) == [2100 / 480]  # the portable build of the same kernel is slower and not drawn


def test_a_run_without_a_baseline_has_no_bars() -> None:
    kernels = kernels_table()
    ours = kernels[(kernels["family"] == "nmforge") | (kernels["m"] == 1)]
    assert set(plotted("speedup", kernels=ours)["m"]) == {1}
    assert plotted("speedup", kernels=kernels[kernels["family"] == "nmforge"]).empty


def test_a_gpu_that_was_not_measured_is_named_and_has_no_panel() -> None:
    figure = picture("speedup", kernels=kernels_table())
    assert "GPU: not measured here" in words(figure)
    assert len(figure.axes) == 3


def test_cuda_rows_get_their_own_panels() -> None:
    figure = picture("speedup", kernels=kernels_table(cuda=True))
    assert len(figure.axes) == 6
    assert "not measured here" not in words(figure)


def test_the_claims_are_named() -> None:
    assert "end to end 1.29x, matmul 1.71x" in words(picture("speedup", kernels=kernels_table()))


def test_a_claim_is_marked_only_where_its_dense_partner_is_drawn() -> None:
    kernels = kernels_table()
    rows = plotted("speedup", kernels=kernels)
    first = rows[rows["m"] == 1].set_index("label")["speedup"]
    ticks = [
        float(segments[0][0][0])
        for collection in picture("speedup", kernels=kernels).axes[0].collections
        if (segments := collection.get_segments())
    ]
    assert any(abs(tick - 1.29 * first["ours, dense INT4"]) < 1e-9 for tick in ticks)
    alone = kernels[kernels["pattern"].eq("2:4") | (kernels["bits"] != 4)]
    assert not picture("speedup", kernels=alone).axes[0].collections
