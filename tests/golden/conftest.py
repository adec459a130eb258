"""Golden cases: `cases/<a sentence>.in.yaml` and what it must come to in `<a sentence>.out.yaml`."""


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the golden files from what the code does now"
    )
