// An echo server as Node's documentation has it: a socket, piped into itself.
// Usage: node node_echo.js PORT
const net = require('net');

const server = net.createServer((guest) => {
  guest.on('error', () => {}); // without a listener, an error ends the process
  guest.pipe(guest); // stops reading while the guest does not read
});
server.listen(Number(process.argv[2]), '127.0.0.1');
