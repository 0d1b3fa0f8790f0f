package topology

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// MakeMAC makes a MAC address with the prefix. below picks a number from 0 up to
// its argument, exclusive.
func MakeMAC(prefix string, below func(uint64) uint64) string {
	octets := 6 - (len(prefix)+1)/3
	n := below(1 << (8 * octets))
	var b strings.Builder
	b.WriteString(prefix)
	for i := octets - 1; i >= 0; i-- {
		fmt.Fprintf(&b, ":%02x", byte(n>>(8*i)))
	}
	return b.String()
}

// ParseMAC reads a MAC address in any usual way of writing and returns it in
// ours: lower case with colons.
func ParseMAC(text string) (string, bool) {
	if len(text) == 12 && !strings.ContainsAny(text, ":-.") {
		text = text[:4] + "." + text[4:8] + "." + text[8:]
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 || mac.String() == "00:00:00:00:00:00" {
		return "", false
	}
	return mac.String(), true
}

// EUI64 is the address that a host with the MAC address gives itself in the
// prefix (RFC 4862).
func EUI64(prefix netip.Prefix, mac string) netip.Addr {
	m, err := net.ParseMAC(mac)
	if err != nil || len(m) != 6 {
		return netip.Addr{}
	}
	b := prefix.Masked().Addr().As16()
	copy(b[8:], []byte{m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
	return netip.AddrFrom16(b)
}
