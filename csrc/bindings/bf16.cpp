// The extension module `_products`.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "bf16/products.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T>
using Matrix = nb::ndarray<T, nb::numpy, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void check(bool fits, int threads) {
  if (!fits) throw nb::value_error("factors and result do not fit each other");
  if (threads < 1) throw nb::value_error("threads must be at least 1");
}

void multiply_rows(Matrix<const float> x, Matrix<const float> w, Matrix<float> out, int threads) {
  check(x.shape(1) == w.shape(1) && out.shape(0) == x.shape(0) && out.shape(1) == w.shape(0), threads);
  const nb::gil_scoped_release unlocked;
  nmforge::multiply_rows(x.data(), w.data(), x.shape(0), w.shape(0), x.shape(1), out.data(), threads);
}

void add_outer_products(Matrix<const float> y, Matrix<const float> x, bool upper, Matrix<float> total, int threads) {
  check(y.shape(0) == x.shape(0) && total.shape(0) == y.shape(1) && total.shape(1) == x.shape(1), threads);
  check(!upper || y.shape(1) == x.shape(1), threads);
  const nb::gil_scoped_release unlocked;
  nmforge::add_outer_products(y.data(), x.data(), x.shape(0), y.shape(1), x.shape(1), upper, total.data(), threads);
}

}  // namespace

NB_MODULE(_products, module) {
  module.doc() = "Products of bf16 numbers summed in float32, where the machine has an instruction for them.";
  module.def("available", nmforge::has_bf16_products, "Whether this machine has the instruction.");
  module.def("multiply_rows", multiply_rows, "x"_a, "w"_a, "out"_a.noconvert(), "threads"_a,
             "out[M, N] = x[M, K] w[N, K]^T.");
  module.def("add_outer_products", add_outer_products, "y"_a, "x"_a, "upper"_a, "total"_a.noconvert(), "threads"_a,
             "total[N, K] += y[T, N]^T x[T, K]; upper: at least on and above the diagonal.");
}
