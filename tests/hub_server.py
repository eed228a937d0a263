"""A stand-in for the Hugging Face hub: as much of its HTTP interface as kerasdl's client uses.

Repositories are dicts of file contents. One user, whose token is `TOKEN`, owns all of them.
"""

import base64
import hashlib
import http.server
import json
import re
import threading
from urllib.parse import unquote, urlsplit

TOKEN = "hf_token"
BRANCH = "main"


class Hub:
    """The server and its repositories; a context manager."""

    def __init__(self):
        self.files, self.private = {}, {}
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self, "GET")

            do_HEAD = do_GET

            def do_POST(self):
                hub.answer(self, "POST")

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()

    def add(self, name, files, private=False):
        self.files[name] = {".gitattributes": b"", **files}
        self.private[name] = private

    def sha(self, name):
        content = sorted(
            (path, hashlib.sha1(data).hexdigest()) for path, data in self.files[name].items()
        )
        return hashlib.sha1(json.dumps(content).encode()).hexdigest()

    def answer(self, request, method):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        known = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        status, content, headers = self._route(
            method, unquote(urlsplit(request.path).path), body, known
        )
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        request.send_response(status)
        for key, value in {"Content-Length": len(content), **headers}.items():
            request.send_header(key, str(value))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def _route(self, method, path, body, known):
        if path == "/api/repos/create":
            return self._create(json.loads(body), known)
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        found = re.fullmatch(r"(/api/models)?/([\w-]+/[\w.-]+)(?:/(\w+)/([\w-]+)(?:/(.*))?)?", path)
        api, name, action, revision, file = found.groups()
        if name not in self.files or (self.private[name] and not known):
            return 401, {}, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "not found"}
        if revision not in (None, BRANCH, self.sha(name)):
            return 404, {}, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "not found"}
        if method == "POST" and not known:
            return 403, {"error": "forbidden"}, {}
        if api is None:
            return self._file(name, file)
        return 200, self._models(name, action, body), {}

    def _create(self, wanted, known):
        if not known:
            return 401, {"error": "Invalid username or password."}, {}
        name = f"{wanted['organization']}/{wanted['name']}"
        answer = {"url": f"{self.url}/{name}"}
        if name in self.files:
            return 409, answer, {}
        self.add(name, {}, wanted.get("visibility") == "private" or wanted.get("private", False))
        return 200, answer, {}

    def _file(self, name, file):
        data = self.files[name][file]
        return (
            200,
            data,
            {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": self.sha(name)},
        )

    def _models(self, name, action, body):
        files = self.files[name]
        if action == "tree":
            return [
                {
                    "type": "file",
                    "path": path,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                }
                for path, data in files.items()
            ]
        if action == "preupload":
            asked = json.loads(body)["files"]
            return {
                "files": [
                    {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for each in asked
                ]
            }
        if action == "commit":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return {"commitUrl": f"{self.url}/{name}", "commitOid": self.sha(name), "success": True}
        siblings = [{"rfilename": path} for path in files]
        return {
            "id": name,
            "sha": self.sha(name),
            "private": self.private[name],
            "siblings": siblings,
        }
