#!/bin/sh
# longest.sh FILE OUTPUT: the longest words of a text.
set -eu
tr -cs '[:alpha:]' '\n' < "$1" | sort -u | awk '{ print length, $0 }' | sort -rn | head -n 3 > "$2"
