"""Packaging: everything is read from settings.ini; the wheel also carries the lessons, so that `lessonkit lab`
needs no checkout."""
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
_cfg = ConfigParser(delimiters=["="], interpolation=None)
_cfg.read(HERE / "settings.ini", encoding="utf-8")
cfg = _cfg["DEFAULT"]


class BuildWithLessons(build_py):
    """Copies the numbered notebooks (`nbs/NN_topic.ipynb`) to `lessonkit/lessons/` of what is built."""

    def run(self):
        super().run()
        if self.editable_mode: return  # a checkout finds its own nbs/
        dest = Path(self.build_lib) / cfg["lib_path"] / "lessons"
        if dest.exists(): shutil.rmtree(dest)
        dest.mkdir(parents=True)
        for nb in sorted((HERE / "nbs").glob("[0-9][0-9]_*.ipynb")): shutil.copy2(nb, dest / nb.name)
        shutil.copy2(HERE / "benchmarks" / "results.json", dest / "results.json")


def needs(name: str) -> list[str]: return cfg.get(name, "").split()


extras = {k.removesuffix("_requirements"): needs(k) for k in cfg if k.endswith("_requirements")}

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    url=cfg["git_url"],
    author=cfg["author"],
    author_email=cfg["author_email"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=cfg["keywords"].split(),
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Education",
        "Framework :: Jupyter",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=f">={cfg['min_python']}",
    # static folders count as packages
    packages=find_namespace_packages(include=["lessonkit", "lessonkit.*"], exclude=["*.__pycache__"]),
    package_data={"lessonkit": ["static/**", "weights/*"]},
    install_requires=needs("requirements"),
    extras_require=extras,
    entry_points={"console_scripts": ["lessonkit=lessonkit.course.cli:main"]},
    cmdclass={"build_py": BuildWithLessons},
    zip_safe=False,
)
