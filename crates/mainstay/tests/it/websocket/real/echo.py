# Sends everything back. `close CODE` closes with that code, `protocol` asks for the subprotocol.
# Who comes to /refuse is taken and shown out.
import asyncio
import sys

from websockets.asyncio.server import serve


async def talk(socket):
    if socket.request.path == "/refuse":
        return await socket.close(4401, "nobody is known here")
    async for message in socket:
        if isinstance(message, str) and message.startswith("close "):
            await socket.close(int(message[6:]), "told to")
        elif message == "protocol":
            await socket.send(socket.subprotocol or "")
        else:
            await socket.send(message)


async def main():
    port = int(sys.argv[1])
    async with serve(talk, "127.0.0.1", port, subprotocols=["chat.v1"]) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
