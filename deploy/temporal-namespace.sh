#!/bin/sh
# Makes the namespace where it is missing. A history is kept a week after its job has ended.
set -eu
temporal operator namespace describe -n default >/dev/null 2>&1 ||
  temporal operator namespace create -n default --retention 7d
