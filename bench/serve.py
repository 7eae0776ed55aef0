"""Any ASGI application on a uvicorn set up as Parley's: python -m bench.serve module:name PORT."""

import sys

import django
import uvicorn

if __name__ == "__main__":
    # The protocol knows the models, since it answers writes by itself.
    django.setup()
    from apps.realtime.transport import UVICORN

    uvicorn.run(
        sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), **{**UVICORN, "lifespan": "off"}
    )
