// Sends everything back. `close CODE` closes with that code, `protocol` asks for the subprotocol.
// Who comes to /refuse is taken and shown out.
const { WebSocketServer } = require(process.argv[2]);
const server = new WebSocketServer(
  { host: "127.0.0.1", port: Number(process.argv[3]) },
  () => console.log(`listening ${server.address().port}`),
);
server.on("connection", (socket, request) => {
  socket.on("error", () => {});
  if (request.url === "/refuse") return socket.close(4401, "nobody is known here");
  socket.on("message", (data, isBinary) => {
    const text = isBinary ? "" : data.toString();
    if (text.startsWith("close ")) socket.close(Number(text.slice(6)), "told to");
    else if (text === "protocol") socket.send(socket.protocol);
    else socket.send(data, { binary: isBinary });
  });
});
