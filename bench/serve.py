"""Any ASGI application on a uvicorn set up as Parley's: python -m bench.serve module:name PORT."""

import sys

import uvicorn

from apps.realtime.transport import UVICORN

if __name__ == "__main__":
    uvicorn.run(
        sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), **{**UVICORN, "lifespan": "off"}
    )
