// The runner of the unit tests of csrc/. Built with -DNMFORGE_UNIT_TESTS=ON, run by test_unit.py.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
