"""Fakes and checks that ship with the package, so that anybody can test against them."""
