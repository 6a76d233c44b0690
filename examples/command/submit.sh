#!/bin/sh
# A command from a shell, run from a frozen copy of this folder: no line of Python is needed.
#
#     ./submit.sh                # here
#     ./submit.sh slurm          # on a cluster
#
# `slurmic submit` prints the id of the job, and nothing else. The command runs in the code folder:
# edit longest.sh while the job waits, and it runs what it was. Data and results have absolute paths.
set -eu
cd "$(dirname "$0")"
mkdir -p runs
job=$(slurmic submit --mode "${1:-local}" --job-name longest --output-parent-path runs \
  -- ./longest.sh "$PWD/text.txt" "$PWD/runs/longest.txt")
echo "job $job"
slurmic cat "$job" longest.sh | head -n 2 # what that job runs, whatever becomes of this folder
if [ "${1:-local}" = local ]; then
  cat runs/longest.txt
else
  echo "the result will be in runs/longest.txt; 'slurmic show $job' tells how it is getting on"
fi
