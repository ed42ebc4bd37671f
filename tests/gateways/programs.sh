#!/bin/sh
# What `make test-gateways` runs: installs Debian's packages for root, or says which are missing.
set -eu
missing=""
for program in janus:janus kamailio:kamailio sipp:sip-tester; do
  PATH="$PATH:/usr/sbin" command -v "${program%:*}" > /dev/null || missing="$missing ${program#*:}"
done
# evapi.so is in a package for itself.
ls /usr/lib/*/kamailio/modules/evapi.so > /dev/null 2>&1 || missing="$missing kamailio-extra-modules"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "make test-gateways needs:$missing (Debian: apt-get install$missing)" >&2
  exit 1
fi
echo "Installing$missing"
# Without the services that the packages would start: the tests start their own.
[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
# The list of packages may be old, or none.
# shellcheck disable=SC2086 (several words)
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -qq $missing > /dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -qq $missing > /dev/null
}
