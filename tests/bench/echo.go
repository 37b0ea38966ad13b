// tests/bench/echo.go: an echo server as one writes it in Go: echo PORT
package main

import (
	"net"
	"os"
)

func serve(guest net.Conn) {
	defer guest.Close()
	buffer := make([]byte, 1024)
	for {
		length, err := guest.Read(buffer)
		if err != nil {
			return // this guest is gone; the others are not
		}
		if _, err := guest.Write(buffer[:length]); err != nil {
			return
		}
	}
}

func main() {
	door, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		if guest, err := door.Accept(); err == nil {
			go serve(guest)
		}
	}
}
