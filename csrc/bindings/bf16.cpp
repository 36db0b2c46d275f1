// The submodule `bf16`.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "bf16/products.hpp"
#include "bindings/arrays_binding.hpp"
#include "bindings/submodules.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace nmforge {
namespace {

// A result that is written where it lies.
using Target = nb::ndarray<float, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

FloatMatrix view(const Matrix<float>& m) { return {m.data(), m.shape(0), m.shape(1)}; }

void check(bool fits, int threads) {
  if (!fits) throw nb::value_error("factors and result do not fit each other");
  if (threads < 1) throw nb::value_error("threads must be at least 1");
}

void rows(const Matrix<float>& x, const Matrix<float>& w, const Target& out, int threads) {
  check(x.shape(1) == w.shape(1) && out.shape(0) == x.shape(0) && out.shape(1) == w.shape(0), threads);
  const nb::gil_scoped_release unlocked;
  multiply_rows(view(x), view(w), out.data(), threads);
}

void outer(const Matrix<float>& y, const Matrix<float>& x, bool upper, const Target& total, int threads) {
  check(y.shape(0) == x.shape(0) && total.shape(0) == y.shape(1) && total.shape(1) == x.shape(1), threads);
  check(!upper || y.shape(1) == x.shape(1), threads);
  const nb::gil_scoped_release unlocked;
  add_outer_products(view(y), view(x), upper, total.data(), threads);
}

}  // namespace

void bind_bf16(nb::module_& module) {
  module.def("available", has_bf16_products, "Whether this machine has the instruction.");
  module.def("multiply_rows", rows, "x"_a, "w"_a, "out"_a.noconvert(), "threads"_a, "out[M, N] = x[M, K] w[N, K]^T.");
  module.def("add_outer_products", outer, "y"_a, "x"_a, "upper"_a, "total"_a.noconvert(), "threads"_a,
             "total[N, K] += y[T, N]^T x[T, K]; upper: at least on and above the diagonal.");
}

}  // namespace nmforge
