"""One backend's process: python -m kerasdl.tools.compare.worker JOB.json

Reads what to do from a JSON file and leaves result.json and arrays.npz in the folder it names. An
error for users is left in result.json as well, with its exit code.
"""

import json
import pathlib
import sys
import traceback

from kerasdl import backend
from kerasdl.core.errors import KerasdlError


def main(job_file):
    """Measures, and returns the exit code."""
    job = json.loads(pathlib.Path(job_file).read_text(encoding="utf-8"))
    folder = pathlib.Path(job["out"])
    try:
        backend.choose(job["backend"])
        import numpy

        from kerasdl.tools.compare import measuring

        result, arrays = measuring.measure(job)
        numpy.savez(folder / "arrays.npz", **arrays)
        code = 0
    except KerasdlError as error:
        result, code = {"error": str(error)}, error.exit_code
    except Exception as error:
        traceback.print_exc()
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        result, code = {"error": f"{type(error).__name__}: {reason}"}, 1
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
