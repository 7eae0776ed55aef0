FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

# The packages come before the sources, so that a change of the sources does not install them anew.
# A volume takes the owner of the folder that it covers.
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt \
    && useradd --system --no-create-home --uid 10001 parley \
    && install --directory --mode=700 --owner=parley var /secrets

COPY . .
RUN python -m compileall -q apps config

# By number, so that a platform can tell that it is not root. It writes to var and to /tmp only, so the
# root file system may be read-only.
USER 10001
VOLUME ["/app/var"]
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from os import environ; from urllib.request import urlopen; \
urlopen('http://127.0.0.1:%s/ready' % (environ.get('SERVER_PORT') or 8080), timeout=4)"]
# JSON form: the server is process 1 and gets the signal of `docker stop` itself. It applies no
# migrations; `docker run IMAGE python manage.py migrate` does.
CMD ["python", "manage.py", "serve"]
