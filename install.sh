#!/bin/sh
# Installs MoltBot: moltbotd, moltctl and its alias moltbot. `install.sh --help` says what it takes.
set -eu

VERSION=0.1.0
RELEASES=${MOLTBOT_RELEASES:-https://example.com/moltbot/releases}

usage() {
  cat <<'HELP'
Installs MoltBot, makes its home, and checks that it serves.

  install.sh [--from DIR|FILE|URL] [--prefix DIR] [--home DIR] [--no-service] [--uninstall] [--yes]

  --from DIR      a folder with moltbotd, moltctl and SHA256SUMS
  --from FILE     moltbot-VERSION-TARGET.tar.gz, with FILE.sha256 beside it
  --from URL      such an archive, with URL.sha256 beside it
                  without --from: the release build of the checkout that this script lies in; else the
                  release of the script's own version below $MOLTBOT_RELEASES
  --prefix DIR    programs go to DIR/bin; /usr/local for root, else ~/.local
  --home DIR      the home to make; $MOLTBOT_HOME, else ~/.moltbot
  --no-service    no service unit; the daemon runs for the check of its health alone
  --uninstall     takes programs and service away; the home stays
  --yes           asks nothing

A missing or wrong checksum is refused. Where a step fails, what was done before it is undone: a failed first
installation leaves no program and no home that it made, a failed upgrade leaves the programs that were there.
Exit: 0 done, 1 failed, 2 wrong use.
HELP
}

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}
wrong_use() {
  printf 'install.sh: %s; install.sh --help says what it takes\n' "$*" >&2
  exit 2
}
have() { command -v "$1" >/dev/null 2>&1; }

# --- what is asked for -------------------------------------------------------------------------------------------

from='' prefix='' home='' service=yes uninstall=no agreed=no
while [ $# -gt 0 ]; do
  case $1 in
    --from | --prefix | --home)
      { [ $# -ge 2 ] && [ -n "$2" ]; } || wrong_use "$1 needs a value"
      case $1 in
        --from) from=$2 ;;
        --prefix) prefix=$2 ;;
        --home) home=$2 ;;
      esac
      shift 2
      ;;
    --no-service) service=no && shift ;;
    --uninstall) uninstall=yes && shift ;;
    --yes | -y) agreed=yes && shift ;;
    --help | -h) usage && exit 0 ;;
    *) wrong_use "unknown argument $1" ;;
  esac
done

# --- where we are ------------------------------------------------------------------------------------------------

case $(uname -s) in
  Linux) system=linux ;;
  Darwin) system=darwin ;;
  *) fail "no release for the system $(uname -s); Linux, macOS and WSL2 are supported" ;;
esac
case $(uname -m) in
  x86_64 | amd64) processor=x86_64 ;;
  aarch64 | arm64) processor=aarch64 ;;
  *) fail "no release for the processor $(uname -m); x86_64 and aarch64 are supported" ;;
esac
case $system in
  linux) target=$processor-unknown-linux-musl ;;
  darwin) target=$processor-apple-darwin ;;
esac

# The one whom the home belongs to: under sudo the person who called it.
owner=$(id -un)
[ "$owner" != root ] || owner=${SUDO_USER:-root}
owner_home=$HOME
if [ "$owner" != "$(id -un)" ]; then
  owner_home=$(eval "printf '%s' ~$owner")
fi
as_owner='' # words before a command
[ "$owner" = "$(id -un)" ] || as_owner="sudo -u $owner --"

if [ -z "$prefix" ]; then
  prefix=$owner_home/.local
  [ "$(id -u)" -ne 0 ] || prefix=/usr/local
fi
[ -n "$home" ] || home=${MOLTBOT_HOME:-$owner_home/.moltbot}
absolute() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$(pwd)" "$1" ;; esac; }
prefix=$(absolute "$prefix") home=$(absolute "$home")
bin=$prefix/bin

# A unit of the system for root, one of the user for everyone else; none where systemd does not run.
unit='' manage=''
if [ "$system" = linux ] && have systemctl && [ -d /run/systemd/system ]; then
  if [ "$(id -u)" -eq 0 ]; then
    unit=/etc/systemd/system/moltbotd.service manage='systemctl'
  else
    unit=$owner_home/.config/systemd/user/moltbotd.service manage='systemctl --user'
  fi
  $manage show-environment >/dev/null 2>&1 || unit=''
fi

confirm() { # QUESTION: asks a person, where there is one
  [ "$agreed" = no ] || return 0
  # read from the terminal: with `curl … | sh` standard input is this script
  if ! { [ -r /dev/tty ] && : </dev/tty; } 2>/dev/null; then return 0; fi
  printf '%s [Y/n] ' "$1" >/dev/tty
  read -r answer </dev/tty
  case $answer in '' | y | Y | yes) ;; *) fail "nothing was changed" ;; esac
}

# --- taking it away ----------------------------------------------------------------------------------------------

if [ "$uninstall" = yes ]; then
  confirm "Take MoltBot out of $bin? The home $home stays."
  if [ -n "$unit" ] && [ -f "$unit" ]; then
    $manage disable --now moltbotd.service >/dev/null 2>&1 || true
    rm -f "$unit"
    $manage daemon-reload || true
    say "removed the service $unit"
  fi
  removed=no
  for program in moltbotd moltctl moltbot; do
    if [ -e "$bin/$program" ] || [ -L "$bin/$program" ]; then
      rm -f "$bin/$program"
      say "removed $bin/$program"
      removed=yes
    fi
  done
  [ "$removed" = yes ] || say "no program of MoltBot was in $bin"
  say "the home $home stays; remove it by hand when nothing in it is needed"
  exit 0
fi

# --- undoing -----------------------------------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/moltbot-install.XXXXXX")
finished=no daemon='' unit_made=no
: >"$work/made" # files to remove again
: >"$work/dirs" # folders to remove again, where they are empty
home_was=no
[ ! -e "$home" ] || home_was=yes

stop_daemon() {
  [ -n "$daemon" ] || return 0
  kill "$daemon" 2>/dev/null || true
  wait "$daemon" 2>/dev/null || true
  daemon=''
}
undo() {
  status=$?
  trap - EXIT
  stop_daemon
  if [ "$finished" = no ]; then
    if [ "$unit_made" = yes ]; then
      $manage disable --now moltbotd.service >/dev/null 2>&1 || true
      if [ -f "$work/unit" ]; then cp "$work/unit" "$unit"; else rm -f "$unit"; fi
      $manage daemon-reload || true
    fi
    while read -r file; do rm -f "$file"; done <"$work/made"
    for program in moltbotd moltctl moltbot; do
      if [ -e "$work/old/$program" ] || [ -L "$work/old/$program" ]; then mv "$work/old/$program" "$bin/$program"; fi
    done
    if [ "$home_was" = no ] && [ -d "$home" ]; then rm -rf "$home"; fi
    while read -r dir; do rmdir "$dir" 2>/dev/null || true; done <"$work/dirs"
    [ "$status" -ne 0 ] || status=1
    printf 'install.sh: nothing was installed; what was done is undone\n' >&2
  fi
  rm -rf "$work"
  exit "$status"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

make_dir() { # DIR: makes it, and remembers which parts are new, innermost first
  dir=$1 new=''
  while [ ! -d "$dir" ]; do
    new="$new$dir
"
    dir=$(dirname "$dir")
  done
  mkdir -p "$1" || fail "$1 could not be made; choose a folder that this user may write with --prefix, or use sudo"
  printf '%s' "$new" >>"$work/dirs"
}

# --- getting it --------------------------------------------------------------------------------------------------

sum_of() {
  if have sha256sum; then sha256sum "$1" | cut -d ' ' -f 1; else shasum -a 256 "$1" | cut -d ' ' -f 1; fi
}
check_sum() { # FILE SUM
  [ -n "$2" ] || fail "there is no checksum for $(basename "$1"): refused"
  [ "$(sum_of "$1")" = "$2" ] || fail "the checksum of $(basename "$1") is wrong: it is damaged or was changed"
}
fetch() { # URL FILE
  if have curl; then
    curl -fsSL --connect-timeout 15 --max-time 900 -o "$2" "$1" || fail "$1 could not be loaded"
  elif have wget; then
    wget -q -T 30 -O "$2" "$1" || fail "$1 could not be loaded"
  else
    fail "neither curl nor wget is here to load $1"
  fi
}
take_dir() { # DIR: checked copies of its programs
  [ -f "$1/SHA256SUMS" ] || fail "$1 has no SHA256SUMS: refused"
  for program in moltbotd moltctl; do
    [ -f "$1/$program" ] || fail "$1 has no $program"
    cp "$1/$program" "$work/$program"
    check_sum "$work/$program" "$(sed -n "s/^\([0-9a-fA-F]\{64\}\) [ *]$program\$/\1/p" "$1/SHA256SUMS" | head -n 1)"
  done
}
take_archive() { # FILE
  [ -f "$1.sha256" ] || fail "$(basename "$1").sha256 is not beside the archive: refused"
  check_sum "$1" "$(cut -d ' ' -f 1 "$1.sha256" | head -n 1)"
  mkdir "$work/archive"
  tar -xzf "$1" -C "$work/archive" || fail "$1 is no archive"
  inside=$(find "$work/archive" -name SHA256SUMS -type f | head -n 1)
  [ -n "$inside" ] || fail "$(basename "$1") has no SHA256SUMS: refused"
  take_dir "$(dirname "$inside")"
}
take_url() {
  archive=$work/$(basename "$1")
  fetch "$1" "$archive"
  fetch "$1.sha256" "$archive.sha256"
  take_archive "$archive"
}
# The release build of the checkout that this script lies in; with `curl … | sh` there is none.
checkout_build() {
  case $0 in */install.sh | install.sh) ;; *) return 1 ;; esac
  here=$(cd "$(dirname "$0")" 2>/dev/null && pwd) || return 1
  [ -f "$here/Cargo.toml" ] || return 1
  for dir in "${CARGO_TARGET_DIR:-$here/target}/release" "${CARGO_TARGET_DIR:-$here/target}/$target/release"; do
    if [ -x "$dir/moltbotd" ] && [ -x "$dir/moltctl" ]; then
      printf '%s' "$dir"
      return 0
    fi
  done
  return 1
}

if [ -z "$from" ]; then
  from=$(checkout_build) || from=''
  if [ -n "$from" ]; then
    what="the build in $from"
    cp "$from/moltbotd" "$from/moltctl" "$work/"
  else
    from=$RELEASES/v$VERSION/moltbot-$VERSION-$target.tar.gz
    what=$from
  fi
else
  what=$from
fi

confirm "Install MoltBot from $what to $bin, with its home in $home?"
say "system: $system $processor"
if [ ! -f "$work/moltbotd" ]; then
  case $from in
    http://* | https://*) take_url "$from" ;;
    *)
      if [ -d "$from" ]; then
        take_dir "$from"
      elif [ -f "$from" ]; then
        take_archive "$from"
      else
        fail "$from is neither a folder, nor a file, nor an address"
      fi
      ;;
  esac
  say "checksums: right"
fi
chmod 755 "$work/moltbotd" "$work/moltctl"
version=$("$work/moltbotd" --version 2>/dev/null) || fail "moltbotd of $what does not run on this machine"

# --- installing --------------------------------------------------------------------------------------------------

make_dir "$bin"
[ -w "$bin" ] || fail "$bin may not be written by $(id -un); use sudo, or choose a folder with --prefix"
mkdir "$work/old"
for program in moltbotd moltctl moltbot; do
  if [ -e "$bin/$program" ] || [ -L "$bin/$program" ]; then
    cp -P "$bin/$program" "$work/old/$program"
  fi
done
put() { # PROGRAM: a rename, so that a running daemon keeps the file it was started from
  cp "$work/$1" "$bin/.$1.new"
  printf '%s\n' "$bin/.$1.new" >>"$work/made"
  chmod 755 "$bin/.$1.new"
  [ -e "$work/old/$1" ] || printf '%s\n' "$bin/$1" >>"$work/made"
  mv "$bin/.$1.new" "$bin/$1"
}
put moltbotd
put moltctl
[ -e "$work/old/moltbot" ] || [ -L "$work/old/moltbot" ] || printf '%s\n' "$bin/moltbot" >>"$work/made"
ln -sf moltctl "$bin/moltbot"
say "programs: $version in $bin (moltbotd, moltctl, moltbot)"

$as_owner "$bin/moltctl" init --yes --quiet --home "$home" || fail "the home $home could not be made"
if [ "$home_was" = yes ]; then say "home: $home was there and keeps its files"; else say "home: made $home"; fi
$as_owner "$bin/moltctl" config validate --quiet --home "$home" ||
  fail "the configuration in $home is not valid; mend it, then install again"

write_unit() {
  [ ! -f "$unit" ] || cp "$unit" "$work/unit"
  mkdir -p "$(dirname "$unit")"
  unit_made=yes
  user_line='' wanted=default.target
  if [ "$(id -u)" -eq 0 ]; then
    user_line="User=$owner" wanted=multi-user.target
  fi
  cat >"$unit" <<UNIT
[Unit]
Description=MoltBot: one endpoint in front of many models
After=network-online.target
Wants=network-online.target

[Service]
$user_line
ExecStart="$bin/moltbotd" --home "$home"
ExecReload=/bin/kill -HUP \$MAINPID
KillMode=mixed
TimeoutStopSec=130
Restart=on-failure
RestartPreventExitStatus=78
LimitNOFILE=65536
NoNewPrivileges=yes
UMask=0077

[Install]
WantedBy=$wanted
UNIT
}
healthy() { # whether the daemon of the home says within 20 s that it is ready
  tries=0
  while [ $tries -lt 100 ]; do
    if $as_owner "$bin/moltctl" status --output json --home "$home" 2>/dev/null | tr -d ' \n' | grep -q '"ready":true'; then
      return 0
    fi
    if [ -n "$daemon" ] && ! kill -0 "$daemon" 2>/dev/null; then return 1; fi
    sleep 0.2
    tries=$((tries + 1))
  done
  return 1
}

if $as_owner "$bin/moltctl" status --home "$home" >/dev/null 2>&1 && { [ "$service" = no ] || [ -z "$unit" ] || [ ! -f "$unit" ]; }; then
  say "health: a daemon serves this home already; restart it to run $version"
elif [ "$service" = yes ] && [ -n "$unit" ]; then
  write_unit
  $manage daemon-reload
  $manage enable moltbotd.service >/dev/null 2>&1 || fail "the service could not be enabled"
  $manage restart moltbotd.service || fail "the service did not start; journalctl -u moltbotd says why"
  healthy || fail "the service is not ready after 20 s; journalctl -u moltbotd says why"
  say "service: $unit, started, and ready"
else
  # Any free port will do for the check, so nothing that runs here is in the way.
  $as_owner env MOLTBOT_SERVER__LISTEN=127.0.0.1:0 MOLTBOT_SERVER__ADMIN=127.0.0.1:0 "$bin/moltbotd" --home "$home" \
    >"$work/daemon.log" 2>&1 &
  daemon=$!
  if ! healthy; then
    tail -n 5 "$work/daemon.log" >&2
    fail "moltbotd did not become ready"
  fi
  stop_daemon
  say "health: moltbotd started, was ready, and was stopped again"
  if [ "$service" = yes ]; then
    say "service: no systemd runs here; start it with: $bin/moltbotd --home $home"
  fi
fi

finished=yes
case :$PATH: in
  *:"$bin":*) ;;
  *) say "add $bin to your PATH:  export PATH=\"$bin:\$PATH\"" ;;
esac
if [ "$home" = "$owner_home/.moltbot" ]; then at=''; else at=" --home $home"; fi
say "next: moltctl status$at; moltctl chat$at"
