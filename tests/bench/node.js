// tests/bench/node.js: the echo server of the Node.js manual: node node.js PORT
'use strict';
const net = require('net');

const server = net.createServer((guest) => {
  guest.on('error', () => guest.destroy());
  guest.pipe(guest);
});
server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
