"""The notebook home of explorers: `lab.explore("collapse")` in JupyterLab, VS Code or Colab."""
