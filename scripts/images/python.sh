# Leaves of Python's library what a service needs. Sourced by scripts/debian-image.
# shellcheck shell=bash disable=SC2154
rm -rf "$root"/usr/lib/python3*/{test,idlelib,lib2to3,pydoc_data,ensurepip,distutils} "$root"/usr/share/python3
ln -sf python3 "$root/usr/bin/python"
