# The steps of deploy/run, which sets: data, port, sopd, sop, words, characters, pid_file, log_file.
# shellcheck shell=bash

title() { printf '\n== %s\n' "$*"; }
say() { printf '  %s\n' "$*"; }
fail() {
  printf 'deploy/run: %s\n' "$*" >&2
  exit 1
}

# A word as one would type it: in single quotes where it needs any.
quoted() {
  if [[ $1 =~ ^[A-Za-z0-9_./:,=+-]+$ ]]; then printf '%s' "$1"; else printf "'%s'" "$1"; fi
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# show WORDS COMMAND...: says what is done, runs it, shows what it printed and the time it took.
show() {
  local what=$1 start output word code=0
  shift
  printf '\n  %s\n' "$what"
  printf '  $ sop'
  for word in "${@:2}"; do printf ' %s' "$(quoted "$word")"; done
  printf '\n'
  start=$(now_ms)
  output=$("$@" 2>&1 </dev/null) || code=$?
  if [[ -n $output ]]; then printf '%s\n' "$output" | sed 's/^/    /'; fi
  printf '    (%d ms)\n' $(($(now_ms) - start))
  return $code
}

must() { show "$@" || fail "that should have worked; the log is $log_file"; }

# ---- the server

server_pid() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$(realpath "$sopd")"* ]] && echo "$pid"
}

start_server() {
  local pid start
  if pid=$(server_pid); then
    if [[ $(readlink "/proc/$pid/exe") != *deleted* ]]; then
      say "sopd is running already, process $pid"
      return
    fi
    say "sopd was rebuilt: process $pid is asked to drain and end"
    kill "$pid"
    wait_for_end "$pid"
  fi
  start=$(now_ms)
  setsid "$sopd" --data "$data" --listen "127.0.0.1:$port" --http "127.0.0.1:$((port + 1))" \
    --stores-root "${TMPDIR:-/tmp}" >>"$log_file" 2>&1 </dev/null &
  echo $! >"$pid_file"
  disown
  wait_until_serving
  say "sopd serves $SOP_ADDRESS, process $(cat "$pid_file"), after $(($(now_ms) - start)) ms"
}

wait_until_serving() {
  local tries
  for ((tries = 0; tries < 600; ++tries)); do
    if "$sop" --timeout 1 ping >/dev/null 2>&1 </dev/null; then return; fi
    if ! kill -0 "$(cat "$pid_file")" 2>/dev/null; then
      tail -n 5 "$log_file" >&2
      fail "sopd ended at once; the end of its log is above"
    fi
    sleep 0.05
  done
  fail "sopd does not answer on $SOP_ADDRESS; its log is $log_file"
}

wait_for_end() {
  local tries
  for ((tries = 0; tries < 1200; ++tries)); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.05
  done
  fail "process $1 does not end"
}

# ---- the stores

count_of() { "$sop" count "$1" 2>/dev/null </dev/null || echo none; }
lines_of() { grep -c '' "$1"; }

is_filled() {
  [[ $(count_of words) == "$(lines_of "$words")" &&
    $(count_of characters) == "$(lines_of "$characters")" &&
    $(count_of transfers) == 1 ]]
}

fill_stores() {
  title "Import"
  local store
  for store in words characters accounts transfers; do
    if [[ $(count_of $store) != none ]]; then "$sop" --yes store rm $store >/dev/null </dev/null; fi
  done
  must "The system dictionary, $(lines_of "$words") words, one key each:" \
    "$sop" import words "$words" --format lines
  must "The Unicode character database, $(lines_of "$characters") lines in ONE transaction. Key: general category
  and code point; value: name and properties:" \
    "$sop" import characters "$characters" --format csv --separator ';' --quote '' --one-transaction \
    --columns "code_point,name,general_category,combining_class,bidi_class,decomposition,decimal,digit,numeric,mirrored,unicode_1_name,comment,uppercase,lowercase,titlecase" \
    --key general_category,code_point --types code_point=hex
}

show_reads() {
  title "Reads"
  must "How many words, counted without reading them:" "$sop" count words
  must "How many begin with 'trans':" "$sop" count words --prefix 'trans*'
  must "Words from 'lighthouse' up to 'lightning':" \
    "$sop" scan words --from lighthouse --to lightning --keys-only
  must "The last three words:" "$sop" scan words --reverse --limit 3 --keys-only
  must "How many characters:" "$sop" count characters
  must "How many are currency symbols (category Sc):" "$sop" count characters --prefix Sc
  must "The first three of them:" "$sop" scan characters --prefix Sc --limit 3
  must "Upper-case letters from U+0391 (Alpha) up to U+0395:" \
    "$sop" scan characters --from Lu,0x391 --to Lu,0x395 --keys-only
  must "One character:" "$sop" get characters So,0x2603
}

show_transfer() {
  title "A transfer across two stores, in one transaction"
  must "Two accounts:" "$sop" tx 'create accounts' 'create transfers' \
    'put accounts alice {"balance":500}' 'put accounts bob {"balance":100}'
  must "100 from alice to bob, with an entry in a second store; both or neither:" \
    "$sop" tx 'change accounts alice balance -100' 'check accounts alice balance >= 0' \
    'change accounts bob balance +100' 'put transfers 1 {"from":"alice","to":"bob","amount":100}'
  must "The accounts:" "$sop" scan accounts
  must "The transfers:" "$sop" scan transfers
  if show "1000 more than alice has: refused as a whole:" \
    "$sop" tx 'change accounts bob balance +1000' 'change accounts alice balance -1000' \
    'check accounts alice balance >= 0'; then
    fail "a transfer of more than there is was not refused"
  fi
  must "The accounts, unchanged:" "$sop" scan accounts
}

show_conflict() {
  title "Two transactions that cannot both be right"
  local output
  output=$(show "Both read alice's balance, both change it, the first one commits:" \
    "$sop" tx 'one: change accounts alice balance -10' 'two: change accounts alice balance -20' \
    'one: commit' 'two: commit') && fail "both committed"
  printf '%s\n' "$output"
  grep -q CONFLICT <<<"$output" || fail "the loser was not told CONFLICT"
  must "Only the first one's change is there:" "$sop" get accounts alice
}

show_crash() {
  title "SIGKILL, and every count unchanged"
  local store pid
  declare -A before
  for store in words characters accounts transfers; do before[$store]=$(count_of $store); done
  pid=$(server_pid)
  kill -KILL "$pid"
  wait_for_end "$pid"
  say "process $pid was killed without warning"
  start_server
  for store in words characters accounts transfers; do
    say "$store: ${before[$store]} before, $(count_of $store) after"
    [[ $(count_of $store) == "${before[$store]}" ]] || fail "$store has lost or gained items"
  done
}
