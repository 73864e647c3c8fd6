#!/bin/sh
# Runs $command on $host as $user. The password comes from the environment, so that no list of processes shows it.
set -eu
export SSHPASS="$password"
exec sshpass -e ssh -o BatchMode=no -o ConnectTimeout=15 -- "$user@$host" "$command"
