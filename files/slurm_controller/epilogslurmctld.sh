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
#
# With --ingest, as a timer calls it: the same for the jobs of the last hours that have no summary, because slurmctld or
# jobstats was away when they ended.  Exits with 1 if it could not ask, or gave up.

me=${0##*/}
me=${me%.sh}

say() {
    timeout 2 logger -t "$me" -p "daemon.$1" -- "${id:+job $id: }$2" 2>/dev/null
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
    return $status
}

# The end of the job that Slurm's variables tell of
job_ended() {
    job=${SLURM_JOB_ID:-}
    id=$job
    # the id of an array's last task is the array's own, which stands for all of its tasks
    [ ! "$job" ] || [ "${SLURM_ARRAY_JOB_ID:-}" != "$job" ] || id=${job}_$SLURM_ARRAY_TASK_ID
    [ ! "$failed" ] || say warning "the EpilogSlurmctld from before ended with an error:$failed"
    configured || return
    case $job in
    '' | *[!0-9]*)
        say warning "nothing done: SLURM_JOB_ID is not a job's number"
        return 1
        ;;
    esac
    sleep "$settle_seconds" # slurmdbd does not have the job's end yet
    summarise && store_summary
}

configured() {
    [ ! "$jobstats_dir" ] || return 0
    say warning "nothing done: $settings is not there or is not a complete one"
    return 1
}

# Of several controllers one does it: the one that is in charge of Slurm
in_charge() {
    active=$(timeout -k 2 "$store_seconds" scontrol ping 2>/dev/null | awk '/ is UP/ { print $3; exit }')
    here=$(uname -n)
    [ "${active%%.*}" = "${here%%.*}" ]
}

# Jobs without a summary, on each line the raw id and the one to ask for. Those that have just ended are the epilog's.
without_summary() {
    ended_before=$(($(date +%s) - settle_seconds - summary_seconds - store_seconds))
    found=$(SLURM_TIME_FORMAT=%s timeout -k 2 "$summary_seconds" sacct --parsable2 --allocations --noheader --allusers \
        --starttime="now-${ingest_hours}hours" --endtime=now --format=jobidraw,jobid,start,end,admincomment 2>&1 </dev/null) || {
        say warning "nothing done: sacct ended with $?: $(last_line "$found")"
        return 1
    }
    found=$(printf '%s\n' "$found" | awk -F'|' -v before="$ended_before" -v store="$store" '
        $1 !~ /^[0-9]+$/ || $3 !~ /^[0-9]+$/ || $4 !~ /^[0-9]+$/ || $4 >= before { next }
        store != "database" && $5 != "" { next }
        { print $1, $2 ~ ("^" $1 "_[0-9]+$") ? $2 : $1 }')
    [ "$store" != database ] || unknown_to_database || return 1
    # in no order, so that jobs of which there never will be one are not in the way of the others
    printf '%s\n' "$found" | awk NF | shuf -n "$ingest_jobs"
}

# Leaves in $found those jobs that the database has no summary of
unknown_to_database() {
    found=$(printf '%s\n' "$found" | timeout -k 2 "$summary_seconds" python3 -I -c '
import sys
sys.path.insert(0, sys.argv[1])
from db_handler import JobstatsDBHandler
jobs = dict(line.split() for line in sys.stdin if line.strip())
if jobs:
    cursor = JobstatsDBHandler().get_external_connection().cursor()
    first = min(map(int, jobs))
    cursor.execute("SELECT jobid FROM job_summary WHERE cluster = %s AND jobid >= %s", (sys.argv[2], first))
    known = {str(row[0]) for row in cursor.fetchall()}
    print("\n".join(" ".join(job) for job in jobs.items() if job[0] not in known))
' "$jobstats_dir" "$cluster" 2>&1) && return
    say warning "nothing done: the database of summaries does not answer: $(last_line "$found")"
    return 1
}

ingest() {
    configured || return
    in_charge || return 0
    jobs=$(without_summary) || return
    late=0 in_a_row=0
    while read -r job id && [ "$job" ] && [ $in_a_row -lt 5 ]; do
        if summarise && store_summary; then
            late=$((late + 1)) in_a_row=0
        else
            in_a_row=$((in_a_row + 1))
        fi
    done <<END
$jobs
END
    id=''
    [ ! "$jobs" ] || say info "$late of $(printf '%s\n' "$jobs" | wc -l) jobs without summary have one now"
    [ $in_a_row -lt 5 ] || say warning "given up until the next time, after 5 jobs in a row without success"
    [ $in_a_row -lt 5 ]
}

[ "${1:-}" = --ingest ] || trap 'exit 0' EXIT HUP INT TERM
previous='' slurm_path='' slurm_conf='' jobstats_dir='' cluster='' store=''
settle_seconds='' summary_seconds='' store_seconds='' ingest_hours='' ingest_jobs=''
failed='' id=''
settings=/etc/jobstats/$me.conf
# shellcheck source=/dev/null
[ ! -r "$settings" ] || . "$settings"
[ "${1:-}" = --ingest ] || run_previous
PATH=${slurm_path:+$slurm_path:}${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin # Slurm gives none
LC_ALL=C.UTF-8
export PATH LC_ALL
if [ ! "${SLURM_CONF:-}" ] && [ -r "$slurm_conf" ]; then
    export SLURM_CONF="$slurm_conf"
fi
case ${1:-} in
--ingest) ingest ;;
*) job_ended ;;
esac
