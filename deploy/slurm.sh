#!/usr/bin/env bash
# psol on the machines that Slurm allocates: a Ray of this job alone, one command in it, and the end of both.
#
#   sbatch --nodes=4 deploy/slurm.sh run --config jobs/imagenet.yaml --data.root /scratch/imagenet \
#     --run_dir /scratch/runs/imagenet
#
# From the project's folder, which all machines see, as they see images and results, and in which `make install` has
# made .venv. What follows the script is a command of psol, and its exit code is the job's. Two minutes before the time
# is up, the run is told to end and the job is put back into the queue, where it goes on; with `sbatch --no-requeue` it
# just ends.
#SBATCH --job-name=psol
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=8
#SBATCH --mem=0
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=psol-%j.log
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
export PATH="$PWD/.venv/bin:$PATH"
join_seconds=${PSOL_JOIN_SECONDS:-300}

# Nothing here is shared with another job on the same machines: neither ports nor folder nor token, without which
# whoever reaches the port could run code as this user. `ray stop` would end the Ray of every job of this user.
port=$((20000 + SLURM_JOB_ID % 1000 * 10))
host=$(hostname -I | cut -d ' ' -f 1)
export PSOL_HEAD="$host:$port" RAY_TMPDIR="/tmp/psol-$SLURM_JOB_ID"
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN

# On each machine. Batch scripts run on the first one, whose task has the head, hence the address above.
# shellcheck disable=SC2016  # expanded there, not here
start_ray='
  ulimit -n "$(ulimit -Hn)" && mkdir -p "$RAY_TMPDIR" && exec > "$RAY_TMPDIR/start-$SLURM_PROCID.log" 2>&1
  set -- --num-cpus="$SLURM_CPUS_ON_NODE" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --block --disable-usage-stats
  if [ "$SLURM_PROCID" = 0 ]; then
    exec ray start --head --node-ip-address="${PSOL_HEAD%:*}" --port="${PSOL_HEAD#*:}" --include-dashboard=false \
      --ray-client-server-port=$((${PSOL_HEAD#*:} + 1)) "$@"
  fi
  until (: < "/dev/tcp/${PSOL_HEAD%:*}/${PSOL_HEAD#*:}") 2> /dev/null; do sleep 1; done
  exec ray start --address="$PSOL_HEAD" "$@"
'
# All CPUs of a machine for its one task, which else is bound to a single one. A machine that fails ends no other's.
srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_ON_NODE" --cpu-bind=none \
  --kill-on-bad-exit=0 bash -c "$start_ray" &
ray=$!

driver='' is_time_up=no num_signals=0
tell_driver() {
  num_signals=$((num_signals + 1))
  if [ -n "$driver" ]; then kill -TERM "$driver" 2> /dev/null || true; else exit 130; fi
}
end_ray() {
  kill -TERM "$ray" 2> /dev/null || true
  wait "$ray" 2> /dev/null || true
}
# Slurm's own TERM is that of `scancel` and of preemption: what was cancelled must not come back.
trap 'is_time_up=yes; tell_driver' USR1
trap tell_driver TERM
trap end_ray EXIT

count_nodes() {
  (: < "/dev/tcp/$host/$port") 2> /dev/null && python - 2> /dev/null << 'PYTHON'
import os, ray
ray.init(os.environ["PSOL_HEAD"], log_to_driver=False, logging_level="ERROR")
print(sum(node["Alive"] for node in ray.nodes()))
PYTHON
}
until joined=$(count_nodes) && [ "$joined" = "$SLURM_JOB_NUM_NODES" ]; do
  if ! kill -0 "$ray" 2> /dev/null || [ "$SECONDS" -ge "$join_seconds" ]; then
    echo "${joined:-0} of $SLURM_JOB_NUM_NODES machines have joined Ray after $SECONDS s, expected all; see" \
      "$RAY_TMPDIR/start-*.log on each" >&2
    exit 1
  fi
  sleep 2
done
echo "$joined of $SLURM_JOB_NUM_NODES machines have joined Ray"

python jobs/psol.py "$@" --cluster.address "$PSOL_HEAD" &
driver=$!
# A signal ends a wait, not the driver, which is given the time it needs.
until
  before=$num_signals code=0
  wait "$driver" || code=$?
  [ "$num_signals" = "$before" ]
do :; done
if [ "$is_time_up" = yes ] && [ "$code" = 130 ]; then
  scontrol requeue "$SLURM_JOB_ID" || true
fi
exit "$code"
