// The echo server of the Node.js manual, for comparison: node node.js PORT
'use strict';
const net = require('net');

const server = net.createServer((client) => {
  client.on('error', () => client.destroy()); // without a listener, an error ends the process
  client.pipe(client); // stops reading while the client does not read
});
server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 4096 });
