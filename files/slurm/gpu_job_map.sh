#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Slurm prolog and epilog that tell a GPU exporter which job has which GPU.
#
# One script under four names (links here; a copy under any of them works alone, a number in front does no harm):
#   prolog-jobstats.sh  epilog-jobstats.sh  /run/gpustat/<GPU>       "<job id> <uid>", for nvidia_gpu_prometheus_exporter
#   prolog-dcgm.sh      epilog-dcgm.sh      /run/dcgm-job-map/<GPU>  a job id on each line, for dcgm-exporter
# <GPU> is the number of a GPU, <number>.<GPU instance> of a MIG slice, and for jobstats the UUID of either as well.
# jobstats knows one job for a GPU: of several that share one, the last to start.
# Slurm's numbers are taken for nvidia-smi's: gres.conf needs AutoDetect=nvml where /dev/nvidia2, say, is not GPU 2.
# GPUSTAT_DIR and DCGM_JOB_MAP_DIR name other directories.
#
# Always exits 0: a prolog that fails drains the node, and both stop BCM's chain of scripts.  What went wrong is in the
# journal (journalctl -t prolog-dcgm.sh).  Takes 20 s at the very most.  The directories are on a tmpfs: a reboot clears
# them, as it ends the jobs.

trap 'exit 0' EXIT HUP INT TERM
PATH=${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin # Slurm gives none
LC_ALL=C
export PATH LC_ALL
umask 022
set -f
me=${0##*/}
newline='
'

say() {
    timeout 2 logger -t "$me" -p daemon.warning -- "job ${SLURM_JOB_ID:-?}: $*" 2>/dev/null
}

quit() {
    say "nothing done: $*"
    exit
}

# Sets $ids: the devices that Slurm gave to the job, a word each, ranges spelt out
read_allocation() {
    gpus=${SLURM_JOB_GPUS:-}
    visible=${CUDA_VISIBLE_DEVICES:-${GPU_DEVICE_ORDINAL:-}}
    # where GPUs are sliced, the numbers in SLURM_JOB_GPUS count Slurm's own list of devices, not GPUs
    case $visible in *MIG-*) gpus=$visible ;; esac
    ids='' strange=''
    IFS=', '
    for id in ${gpus:-$visible}; do
        case $id in
        '' | NoDevFiles | -1) ;; # "none", in the words of Slurm and of CUDA
        [0-9] | [1-9][0-9] | [1-9][0-9][0-9]) ids="$ids $id" ;;
        [0-9]-[0-9] | [0-9]-[1-9][0-9] | [1-9][0-9]-[1-9][0-9])
            gpu=${id%-*}
            [ "$gpu" -le "${id#*-}" ] || strange="$strange $id"
            while [ "$gpu" -le "${id#*-}" ]; do
                ids="$ids $gpu" gpu=$((gpu + 1))
            done
            ;;
        GPU-*[!0-9A-Za-z-]* | MIG-*[!0-9A-Za-z/-]*) strange="$strange $id" ;;
        GPU-?* | MIG-?*) ids="$ids $id" ;;
        *) strange="$strange $id" ;;
        esac
    done
    unset IFS
    [ ! "$strange" ] || say "not known as a GPU, so left out:$strange"
}

# Prints the devices that nvidia-smi knows, a word each: <number>:<UUID>, <number>.<GPU instance>:<UUID>.
# A nvidia-smi stuck in the driver cannot even be killed.  So it runs in the background, and the one that waits, no
# longer than it has to, is awk.  The long listing is asked for MIG only.
# shellcheck disable=SC2016 # $1 and the like are awk's
list_devices() {
    (
        {
            case $ids in *MIG-*) timeout -k 1 5 nvidia-smi -q ;; esac
            timeout -k 1 5 nvidia-smi -L
        } </dev/null 2>/dev/null &
    ) | timeout 6 awk '
        $1 == "GPU" && $2 == "UUID" { gpu = $NF }
        $1 == "Index" { slice = $NF }
        /GPU Instance ID/ && $NF ~ /^[0-9]+$/ { instance[gpu "," slice] = $NF }
        /^GPU [0-9]+: .*\(UUID: GPU-/ {
            gpu = $NF; sub(/\)$/, "", gpu)
            number = $2 + 0
            print number ":" gpu
        }
        /^ +MIG .* Device +[0-9]+: \(UUID: MIG-/ {
            uuid = $NF; sub(/\)$/, "", uuid)
            slice = $0; sub(/.* Device +/, "", slice); sub(/:.*/, "", slice)
            if ((gpu "," slice) in instance) print number "." instance[gpu "," slice] ":" uuid
        }' 2>/dev/null
}

# Sets $names: the files of the devices in $ids
name_files() {
    names='' devices='' unknown=''
    case $kind$ids in jobstats* | *GPU-* | *MIG-*) devices=$(list_devices) ;; esac
    for id in $ids; do
        device=''
        for known in $devices; do
            case $known in "$id":* | *:"$id") device=$known ;; esac
        done
        for name in "$id" "${device%%:*}" "${device#*:}"; do
            case $kind:$name in
            *: | */* | dcgm:*[!0-9.]*) ;; # dcgm-exporter takes numbers only
            *) case "$names " in *" $name "*) ;; *) names="$names $name" ;; esac ;;
            esac
        done
        case $device:$kind:$id in
        :jobstats:* | :*:GPU-* | :*:MIG-*) unknown="$unknown $id" ;;
        esac
    done
    [ ! "$unknown" ] || say "nvidia-smi did not say in 5 s which GPU this is (number and UUID):$unknown"
}

# Reads the map file $1: sets $others to the lines of other jobs, and $mine if this job has one
look() {
    others='' mine=''
    [ -f "$1" ] || return
    while IFS= read -r line || [ "$line" ]; do
        case $line in
        "$job" | "$job "*) mine=yes ;;
        ?*) others="$others$line$newline" ;;
        esac
    done <"$1"
}

# Finds the files that have this job and are not its own ($names): all of them in an epilog; in a prolog what is left
# of an earlier run of a requeued job.  Sets $doomed (nobody else in them) and $shared.
find_stale() {
    doomed='' shared=''
    set +f
    for name in [0-9]* [GM]*-*; do
        case $name in *[!0-9A-Za-z.-]*) continue ;; esac
        case "$names " in *" $name "*) continue ;; esac
        look "$name"
        case $mine:$others in
        yes:) doomed="$doomed $name" ;;
        yes:*) shared="$shared $name" ;;
        esac
    done 2>/dev/null # a file may go while it is looked at
    set -f
}

# Writes $2, the next state of the file $1, where exporters do not look; a rename brings it in
stage() {
    if { printf %s "$2" >"$beside$1"; } 2>/dev/null; then
        staged="$staged $beside$1"
    else
        failed="$failed $1"
    fi
}

# Sets $next to what the map file $1 shall hold
add_job() {
    look "$1"
    case $kind in
    dcgm) next=$others$job$newline ;;
    *) next="$job${uid:+ $uid}$newline" ;;
    esac
}

# Makes the map say that the job has the files $names and no other
# shellcheck disable=SC2086 # lists of names without spaces
update() {
    find_stale
    staged='' failed='' beside=.new- place=.
    set -- $names $shared
    case $# in
    0 | 1) place=${1:-} ;;
    *) # several files are renamed by one program, if their names are the new ones already
        beside=.new/
        [ -d .new ] || mkdir .new 2>/dev/null
        ;;
    esac
    for name in $names; do
        add_job "$name"
        stage "$name" "$next"
    done
    for name in $shared; do
        look "$name"
        stage "$name" "$others"
    done
    [ ! "$staged" ] || mv -f $staged $place 2>/dev/null || failed="$failed$staged"
    [ ! "$doomed" ] || rm -rf $doomed .new 2>/dev/null || failed="$failed$doomed"
    [ ! "$failed" ] || say "could not change all files in $dir (is it full or read-only?):$failed"
}

case $me in
*jobstats*) kind=jobstats dir=${GPUSTAT_DIR:-/run/gpustat} ;;
*dcgm*) kind=dcgm dir=${DCGM_JOB_MAP_DIR:-/run/dcgm-job-map} ;;
*) quit "the name of this script has to contain jobstats or dcgm" ;;
esac
job=${SLURM_JOB_ID:-} uid=${SLURM_JOB_UID:-}
case $job in '' | *[!0-9]*) quit "SLURM_JOB_ID is not a job id" ;; esac
case $uid in *[!0-9]*) uid='' ;; esac
case $dir in /*) ;; *) quit "$dir is not an absolute path" ;; esac

names=''
case $me in
*prolog*)
    read_allocation
    [ "$ids" ] && name_files
    [ "$names" ] || exit
    [ -d "$dir" ] || why=$(mkdir -p "$dir" 2>&1) || quit "$why"
    cd "$dir" || exit
    ;;
*epilog*)
    cd "$dir" 2>/dev/null || exit
    find_stale
    [ "$doomed$shared" ] || exit
    ;;
*) quit "the name of this script has to contain prolog or epilog" ;;
esac
{
    flock -w 8 9 || quit "$dir was locked for 8 s"
    update
} 9<.
