#!/bin/sh
# Asks $url once a second until it answers with $status, for at most $timeoutSeconds, and prints how long that took.
set -eu
begin=$(date +%s)
while [ "$(curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "$url")" != "$status" ]; do
  if [ $(($(date +%s) - begin)) -ge "$timeoutSeconds" ]; then
    echo "no answer $status from $url within $timeoutSeconds seconds" >&2
    exit 1
  fi
  sleep 1
done
echo $(($(date +%s) - begin))
