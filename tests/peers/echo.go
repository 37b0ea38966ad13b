// An echo server as one writes it in Go, for comparison: echo PORT
package main

import (
	"net"
	"os"
	"time"
)

func serve(client net.Conn) {
	defer client.Close()
	buffer := make([]byte, 1024)
	for {
		length, err := client.Read(buffer)
		if err != nil {
			return
		}
		if _, err := client.Write(buffer[:length]); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil { // out of descriptors, perhaps
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go serve(client)
	}
}
