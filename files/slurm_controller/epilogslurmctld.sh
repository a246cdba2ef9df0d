#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Slurm's EpilogSlurmctld: at the end of each job, asks jobstats for a summary of what the job used and stores it, so that
# `jobstats JOBID` still answers when Prometheus has forgotten the job.
#
# Run by slurmctld, as SlurmUser, without PATH.  Its settings are in /etc/jobstats/<its own name>.conf, which Ansible
# writes: several Slurm instances on one host have each a copy of its own.
#
# First it runs what was EpilogSlurmctld before (previous=), as Slurm did.  Always exits 0; what went wrong is in the
# journal (journalctl -t epilogslurmctld-slurm).  Takes no longer than the seconds in its settings, and is not in the way
# of anything meanwhile: the nodes of the job are free.

me=${0##*/}
me=${me%.sh}

say() {
    timeout 2 logger -t "$me" -p "daemon.$1" -- "job ${id:-${SLURM_JOB_ID:-?}}: $2" 2>/dev/null
}

# The last line of $1, short enough for a line of the journal
last_line() {
    printf '%s\n' "$1" | awk 'NF { line = $0 } END { print substr(line, 1, 300) }'
}

run_previous() {
    # one on each line; with the environment that Slurm gave, so before PATH is set
    while IFS= read -r program; do
        case $program in '' | "$0") continue ;; esac
        "$program" </dev/null || failed="$failed $program (status $?)"
    done <<END
$previous
END
}

# Sets $summary; fails if there is none
summarise() {
    sleep "$settle_seconds" # slurmdbd does not have the job's end yet
    output=$(timeout -k 2 "$summary_seconds" "$jobstats_dir/jobstats" -f -b "$id" 2>&1 </dev/null)
    status=$?
    case $status in
    0) why='jobstats said what is none' ;;
    124 | 137) why="jobstats did not end in $summary_seconds s" ;;
    126 | 127) why="$jobstats_dir/jobstats cannot be run" ;;
    *) why="jobstats ended with $status" ;;
    esac
    summary=''
    # libraries may warn on standard error
    [ $status -ne 0 ] || summary=$(printf '%s\n' "$output" |
        awk '/^(Short|None|H4s[A-Za-z0-9+\/=]+)$/ { found = $0 } END { print found }')
    [ "$summary" ] && return
    say warning "no summary: $why: $(last_line "$output")"
    return 1
}

store_summary() {
    case $store in
    database)
        set -- "$jobstats_dir/store_jobstats.py" "--cluster=$cluster" "--jobid=$job" "--stats=JS1:$summary"
        ;;
    *)
        set -- sacctmgr -i update job where "jobid=$id" set "AdminComment=JS1:$summary"
        ;;
    esac
    output=$(timeout -k 2 "$store_seconds" "$@" 2>&1 </dev/null)
    status=$?
    case $status in
    0) say info "summary stored (${#summary} characters)" ;;
    124 | 137) say warning "summary not stored: ${1##*/} did not end in $store_seconds s" ;;
    *) say warning "summary not stored: ${1##*/} ended with $status: $(last_line "$output")" ;;
    esac
}

trap 'exit 0' EXIT HUP INT TERM
previous='' slurm_path='' slurm_conf='' jobstats_dir='' cluster='' store=''
settle_seconds='' summary_seconds='' store_seconds=''
failed=''
settings=/etc/jobstats/$me.conf
# shellcheck source=/dev/null
[ ! -r "$settings" ] || . "$settings"
run_previous
PATH=${slurm_path:+$slurm_path:}${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin # Slurm gives none
LC_ALL=C.UTF-8
export PATH LC_ALL
job=${SLURM_JOB_ID:-}
id=$job
# the id of an array's last task is the array's own, which stands for all of its tasks
[ ! "$job" ] || [ "${SLURM_ARRAY_JOB_ID:-}" != "$job" ] || id=${job}_$SLURM_ARRAY_TASK_ID
[ ! "$failed" ] || say warning "the EpilogSlurmctld from before ended with an error:$failed"
if [ ! "$jobstats_dir" ]; then
    say warning "nothing done: $settings is not there or is not a complete one"
    exit
fi
case $job in
'' | *[!0-9]*)
    say warning "nothing done: SLURM_JOB_ID is not a job's number"
    exit
    ;;
esac
if [ ! "${SLURM_CONF:-}" ] && [ -r "$slurm_conf" ]; then
    export SLURM_CONF="$slurm_conf"
fi
summarise && store_summary
