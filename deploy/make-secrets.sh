#!/bin/sh
# Makes the secrets of the compose file, random ones, in the folder secrets/ or the given one. Those that are there stay
# as they are, so it can be run again.
#
# Compose mounts the files as they are, and each image reads them as a user of its own: so every file can be read by all,
# and the folder by its owner alone.
set -eu
folder=${1:-$(dirname "$0")/../secrets}
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

random() { od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n'; }

# put NAME writes its input to the file, whole or not at all.
put() {
  if [ -e "$1" ]; then
    cat >/dev/null
    return
  fi
  cat >".$1"
  chmod 444 ".$1"
  mv ".$1" "$1"
}

random | put temporal-db-password
random | put assetflow-db-password
printf 'postgres://assetflow:%s@postgresql:5432/assetflow?sslmode=disable' "$(cat assetflow-db-password)" | put database-url
printf 'assetflow' | put s3-access-key
random | put s3-secret-key
# As `assetflow master-key` makes it. Keep a copy: what it has sealed, no other opens.
head -c 32 /dev/urandom | base64 | put master-key
# Empty: this region takes part in no copies. Put the output of `assetflow key-ring` here, see docs/replication.md.
printf '' | put replication-key-ring
# Empty: Temporal keeps what it is given in clear. See docs/encryption.md before you change it.
printf '' | put payload-keys
random | put grafana-password
