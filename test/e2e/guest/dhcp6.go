package guest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// A small DHCPv6 client (RFC 8415): it asks for one address, as a server's
// operating system does when a router tells it to. Debian's busybox has none.

const (
	solicit, advertise, request, reply = 1, 2, 3, 7

	optionClient, optionServer, optionIA, optionAddress, optionElapsed = 1, 2, 3, 5, 8

	clientPort, serverPort = 546, 547
)

// lease6 gets an address by DHCPv6 and puts it on the card.
func lease6(ctx context.Context, card string) (string, error) {
	address, err := askDHCP6(card)
	if err != nil {
		return "", err
	}
	_, err = run(ctx, "ip", "-6", "addr", "replace", address.String()+"/128", "dev", card)
	return address.String(), err
}

func askDHCP6(card string) (netip.Addr, error) {
	device, err := net.InterfaceByName(card)
	if err != nil {
		return netip.Addr{}, err
	}
	c, err := net.ListenUDP("udp6", &net.UDPAddr{Port: clientPort, Zone: card})
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close() //nolint:errcheck // it holds nothing
	x := exchange{conn: c, to: &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: serverPort, Zone: card}, client: duid(device.HardwareAddr)}
	offer, err := x.ask(solicit, advertise, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	given, err := x.ask(request, reply, offer)
	if err != nil {
		return netip.Addr{}, err
	}
	return leased(given)
}

// duid is the client's identity: of its card, so that the server knows it again.
func duid(mac net.HardwareAddr) []byte {
	return append([]byte{0, 3, 0, 1}, mac...)
}

type exchange struct {
	conn   *net.UDPConn
	to     *net.UDPAddr
	client []byte
}

// ask sends a message until it is answered. Of an offer it repeats who made it.
func (x exchange) ask(kind, want byte, offer map[uint16][]byte) (map[uint16][]byte, error) {
	transaction := make([]byte, 3)
	rand.Read(transaction)
	message := encode(kind, transaction, x.client, offer)
	buffer := make([]byte, 1500)
	for range 30 {
		x.conn.SetReadDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the read fails then
		if _, err := x.conn.WriteTo(message, x.to); err != nil {
			time.Sleep(300 * time.Millisecond) // a card just woken has no address yet
			continue
		}
		n, _, err := x.conn.ReadFromUDP(buffer)
		if err != nil {
			continue
		}
		if n > 4 && buffer[0] == want && bytes.Equal(buffer[1:4], transaction) {
			return decode(buffer[4:n])
		}
	}
	return nil, errors.New("no DHCPv6 server answers")
}

func encode(kind byte, transaction, client []byte, offer map[uint16][]byte) []byte {
	message := append([]byte{kind}, transaction...)
	message = appendOption(message, optionClient, client)
	if server := offer[optionServer]; server != nil {
		message = appendOption(message, optionServer, server)
	}
	ia := make([]byte, 12) // an identity, and two times that the server chooses
	ia[3] = 1
	if offer != nil {
		ia = offer[optionIA]
	}
	message = appendOption(message, optionIA, ia)
	return appendOption(message, optionElapsed, []byte{0, 0})
}

func appendOption(message []byte, code uint16, value []byte) []byte {
	message = binary.BigEndian.AppendUint16(message, code)
	message = binary.BigEndian.AppendUint16(message, uint16(len(value)))
	return append(message, value...)
}

func decode(b []byte) (map[uint16][]byte, error) {
	all := map[uint16][]byte{}
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errors.New("an option is cut off")
		}
		code, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+length {
			return nil, fmt.Errorf("option %d is cut off", code)
		}
		all[code] = bytes.Clone(b[4 : 4+length])
		b = b[4+length:]
	}
	return all, nil
}

// leased is the address in a server's answer.
func leased(answer map[uint16][]byte) (netip.Addr, error) {
	ia := answer[optionIA]
	if len(ia) < 12 {
		return netip.Addr{}, errors.New("the DHCPv6 server gives no address")
	}
	parts, err := decode(ia[12:])
	if err != nil {
		return netip.Addr{}, err
	}
	given := parts[optionAddress]
	if len(given) < 16 {
		return netip.Addr{}, errors.New("the DHCPv6 server has no address for us")
	}
	address, _ := netip.AddrFromSlice(given[:16])
	return address, nil
}
