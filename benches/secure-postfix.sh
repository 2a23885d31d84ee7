#!/bin/sh
# Postfix with TLS on both sides and OpenDKIM (RSA-2048, relaxed/relaxed) as a milter, for benches/secure.sh. An instance of
# its own under $BENCH_DIR. Connections to the smart host are reused over TLS, as Postfix can since 3.4.
set -e
. "$(dirname "$0")/secure-common.sh"
D="$BENCH_DIR"; E="$D/etc"; milter=$((BENCH_PORT + 20000))
mkdir -p "$E" "$D/spool" "$D/data"
chown postfix "$D/data"; chmod 755 "$D" "$D/spool"
openssl genrsa -traditional -out "$D/dkim.key" 2048 2> /dev/null; chmod 600 "$D/dkim.key"
cat > "$D/opendkim.conf" <<EOF
Mode s
Domain ${BENCH_SENDER_DOMAIN:-bench.example}
Selector s1
KeyFile $D/dkim.key
Canonicalization relaxed/relaxed
InternalHosts 0.0.0.0/0
Socket inet:$milter@127.0.0.1
Syslog no
Background no
RequireSafeKeys no
UserID root
EOF
opendkim -f -x "$D/opendkim.conf" > "$D/opendkim.log" 2>&1 &
cat > "$E/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $D/spool
data_directory = $D/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.bench.example
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:$tls_out
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
smtpd_milters = inet:127.0.0.1:$milter
milter_default_action = tempfail
disable_dns_lookups = yes
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
alias_maps =
alias_database =
local_transport = error:no local mail
local_recipient_maps =
message_size_limit = 52428800
smtpd_tls_security_level = encrypt
smtpd_tls_wrappermode = yes
smtpd_tls_chain_files = $D/tls.key, $D/tls.crt
smtp_tls_security_level = encrypt
smtp_tls_wrappermode = yes
smtp_tls_connection_reuse = yes
maillog_file = $D/maillog
maillog_file_prefixes = $D
default_process_limit = 200
initial_destination_concurrency = 20
default_destination_concurrency_limit = 20
smtp_destination_concurrency_limit = 20
qmgr_message_active_limit = 40000
qmgr_message_recipient_limit = 40000
in_flow_delay = 1
smtpd_client_connection_count_limit = 0
smtp_connection_reuse_count_limit = 0
EOF
cat > "$E/master.cf" <<EOF
127.0.0.1:$tls_in inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
tlsproxy  unix  - - n - 0 tlsproxy
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
EOF
cp /etc/postfix/dynamicmaps.cf /etc/postfix/postfix-files "$E/" 2> /dev/null || :
postfix -c "$E" check 2> /dev/null || postfix -c "$E" set-permissions 2> /dev/null || :
touch "$D/ready-to-exec"
exec postfix -c "$E" start-fg
