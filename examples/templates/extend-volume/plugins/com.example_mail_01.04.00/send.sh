#!/bin/sh
# Sends a mail through the machine's own mail service.
set -eu
printf '%s\n' "$body" | mail -s "$subject" -- "$to"
