// NumPy arrays as the bindings take and return them: contiguous, on the CPU, never copied.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

namespace nmforge {

static_assert(sizeof(float) == 4, "np.float32 is passed as float");

template <class T>
using Vector =
    nanobind::ndarray<const T, nanobind::numpy, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Matrix =
    nanobind::ndarray<const T, nanobind::numpy, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;
template <class T>
using Result = nanobind::ndarray<T, nanobind::numpy, nanobind::ndim<2>>;

// Frees `data`, made by new[], together with the array that holds this capsule.
template <class T>
nanobind::capsule owner(T* data) {
  return nanobind::capsule(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
}

}  // namespace nmforge
